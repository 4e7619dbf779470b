"""A blow that falls in the second of several processes that torchrun starts."""

import os
from collections.abc import Mapping
from typing import Any

import serin.cli

from .attempts import strike


def prepare(blow: Mapping[str, Any]) -> None:
    """In torchrun's own process, whose forks the others are: put the blow where it is to fall, in that one alone."""
    main = serin.cli.main

    def struck(*arguments: Any, **options: Any) -> Any:
        if os.environ["RANK"] == "1":
            strike(blow)
        return main(*arguments, **options)

    serin.cli.main = struck  # type: ignore[assignment]
