"""A run on a cluster as it goes: a bar below the lines on a terminal, and lines alone elsewhere. All on standard error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from serin.job.picture import Picture

_FRAMES_PER_S = 4


@dataclass(frozen=True, slots=True)
class Shown:
    """Where a run is shown."""

    tell: Callable[[str], None]
    """One line, for good."""
    draw: "Callable[[Picture], None] | None"
    """How it stands now, until the next one; None where nothing can be drawn over."""


def tell(line: str) -> None:
    """Say something of a run's progress."""
    click.echo(line, err=True)


@contextmanager
def live_run() -> Iterator[Shown]:
    """Show a run for the length of a block; what was drawn is gone after it, and what was told stays."""
    if not sys.stderr.isatty():
        yield Shown(tell, None)
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    drawing = _Drawing()

    def tell_above(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    with Live(
        console=console, get_renderable=drawing.rendered, refresh_per_second=_FRAMES_PER_S, transient=True,
        redirect_stdout=False, redirect_stderr=False,
    ):  # fmt: skip
        yield Shown(tell_above, drawing.take)


class _Drawing:
    """Two lines: the stage with its bar, and what it is doing or waits for. Drawn anew between two looks for the clock's sake."""

    def __init__(self) -> None:
        from rich.progress_bar import ProgressBar
        from rich.spinner import Spinner

        self._picture: Picture | None = None
        self._bar = ProgressBar(width=30)
        self._spinner = Spinner("dots")

    def take(self, picture: "Picture") -> None:
        """This is how it stands now."""
        self._picture = picture

    def rendered(self) -> Any:
        """What is to be seen."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        picture = self._picture
        if picture is None:
            return Text("")
        standing = Text.assemble((picture.name, "bold"), f": {picture.standing}{_clock(picture.since)}")
        # The lines above have every word: here one line is enough.
        standing.no_wrap, standing.overflow = True, "ellipsis"
        below = Table.grid(padding=(0, 1))
        below.add_row(self._spinner, standing)
        if picture.since is None and picture.done is None:
            return below
        self._bar.total = picture.total
        self._bar.completed = picture.done or 0
        self._bar.pulse = picture.total is None
        row = Table.grid(padding=(0, 1))
        count = "" if picture.done is None else f"{picture.done}/{picture.total or '?'}"
        row.add_row(
            Text(picture.stage), self._bar, Text(count), Text(picture.figures, no_wrap=True, overflow="ellipsis")
        )
        return Group(row, below)


def _clock(since: datetime | None) -> str:
    from serin.job.wording import duration

    return "" if since is None else f", {duration((datetime.now(UTC) - since).total_seconds())}"
