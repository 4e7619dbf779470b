"""Options that the verbs of rollouts and experiments share, and who it is that gives them."""

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from serin.cli.serving import state_option

F = TypeVar("F", bound=Callable[..., Any])

rollout_argument = click.argument("rollout", required=False)
rollouts_option = click.option(
    "--rollouts",
    type=click.Path(path_type=Path),
    default=Path(".serin/rollouts"),
    show_default=True,
    help="Where rollouts of this machine are kept.",
)
output_option = click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
by_option = click.option("--by", "person", help="Who decides; the history keeps it.  [default: who is logged in]")


def asked_by_hand(**reason: Any) -> Callable[[F], F]:
    """Which rollout, why, who asks, and where it is; ``reason`` says whether that is needed, in click's words."""

    def decorated(function: F) -> F:
        why = click.option("--reason", help="Why; the rollout's history keeps it.", **reason)
        for option in (state_option, rollouts_option, by_option, why, rollout_argument):
            function = option(function)
        return function

    return decorated


def logged_in() -> str:
    """Who runs this command; empty where that has no name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user may have no name
        return ""
