"""The options of ``serin evaluate`` that name a candidate."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from serin.core.errors import UsageError

if TYPE_CHECKING:
    from serin.evaluate.subject import Candidate

_FOLDER = click.Path(path_type=Path)
_DEFAULT = Path("artifacts/merged")
_OPTIONS = (
    click.option(
        "--merged", type=_FOLDER, help=f"The candidate: a pointer of merge or quantise.  [default: {_DEFAULT}]"
    ),
    click.option("--adapter", type=_FOLDER, help="The candidate: an adapter, on the base that it was trained on."),
    click.option("--model", "folder", type=_FOLDER, help="The candidate: a folder in Hugging Face format."),
    click.option("--endpoint", metavar="URL", help="Where the candidate is served; its answers then come from there."),
    click.option("--endpoint-model", metavar="NAME", help="The model to ask for there."),
    click.option("--endpoint-key", metavar="VARIABLE", help="The environment variable that holds the key."),
)


@dataclass(frozen=True, slots=True)
class Named:
    """What the options say, as they say it."""

    merged: Path | None
    adapter: Path | None
    folder: Path | None
    endpoint: str | None
    endpoint_model: str | None
    endpoint_key: str | None

    def candidate(self) -> "Candidate":
        """The candidate that they name; what ``merge`` wrote where they name none.

        Raises:
            UsageError: they name several, or half an endpoint, or an endpoint for what is not served.
        """
        from serin.evaluate.answers.served import Address
        from serin.evaluate.subject import Candidate

        if sum(named is not None for named in (self.merged, self.adapter, self.folder)) > 1:
            raise UsageError("--merged, --adapter and --model name one candidate each: give one of them")
        if (self.endpoint is None) != (self.endpoint_model is None):
            raise UsageError("--endpoint and --endpoint-model go together: where to ask, and for what")
        if self.endpoint is not None and self.adapter is not None:
            raise UsageError("--endpoint asks a model that is served: name it with --merged or --model")
        address = None
        if self.endpoint is not None and self.endpoint_model is not None:
            key = os.environ.get(self.endpoint_key, "") if self.endpoint_key else "none"
            address = Address(self.endpoint, self.endpoint_model, key)
        named = (self.merged, self.adapter, self.folder, address)
        return Candidate(*named) if any(value is not None for value in named) else Candidate(merged=_DEFAULT)


def candidate_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options, and what they say as its argument ``named``."""

    @wraps(command)
    def collected(  # one argument an option
        merged: Path | None,
        adapter: Path | None,
        folder: Path | None,
        endpoint: str | None,
        endpoint_model: str | None,
        endpoint_key: str | None,
        **others: Any,
    ) -> None:
        command(named=Named(merged, adapter, folder, endpoint, endpoint_model, endpoint_key), **others)

    for option in reversed(_OPTIONS):
        collected = option(collected)
    return collected
