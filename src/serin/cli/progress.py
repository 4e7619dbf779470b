"""Progress with time left, on standard error: a bar on a terminal, a line every few seconds elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

_LINE_EVERY_S = 10.0


class Bar(Protocol):
    """What a stage tells of itself."""

    def __call__(self, done: int, total: int | None, note: str = "") -> None:
        """``done`` of ``total`` steps (None: nobody knows how many), with an optional note such as the loss."""


@contextmanager
def progress_bar(title: str) -> Iterator[Bar]:
    """A bar that knows how long is left."""
    if not sys.stderr.isatty():
        yield _Lines(title, time.monotonic())
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as shown:
        task = shown.add_task(title, total=None, note="")

        def tell(done: int, total: int | None, note: str = "") -> None:
            shown.update(task, completed=done, total=total)
            if note:
                shown.update(task, note=note)

        yield tell


class _Lines:
    """Progress where no terminal is: a line at most every ten seconds, and one at the end."""

    def __init__(self, title: str, started: float) -> None:
        self.title = title
        self.started = started
        self.last = started
        self.note = ""

    def __call__(self, done: int, total: int | None, note: str = "") -> None:
        now = time.monotonic()
        self.note = note or self.note
        if now - self.last < _LINE_EVERY_S and (total is None or done < total):
            return
        self.last = now
        spent = now - self.started
        if total is None:
            print(f"{self.title}: {done}, {spent:.0f} s {self.note}".rstrip(), file=sys.stderr, flush=True)
            return
        left = f"{spent / done * (total - done):.0f} s left" if 0 < done < total else f"{spent:.0f} s"
        print(f"{self.title}: {done}/{total}, {left} {self.note}".rstrip(), file=sys.stderr, flush=True)
