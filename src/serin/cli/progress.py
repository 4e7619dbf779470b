"""Progress with time left, on standard error: a bar on a terminal, a line every few seconds elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
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
        yield _Lines(title)
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
        last_done: int | None = None

        def tell(done: int, total: int | None, note: str = "") -> None:
            nonlocal last_done
            if last_done is None or done < last_done:  # what was done before says nothing of the speed
                shown.reset(task, completed=done, total=total)
            else:
                shown.update(task, completed=done, total=total)
            last_done = done
            if note:
                shown.update(task, note=note)

        yield tell


class _Lines:
    """Progress where no terminal is: a line at most every ten seconds, and one at the end.

    The time left follows from what was done since the first call: what was done before says nothing of the speed.
    """

    def __init__(self, title: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.title = title
        self.clock = clock
        self.started = self.last = clock()
        self.since: tuple[int, float] | None = None
        self.last_done = 0
        self.note = ""

    def __call__(self, done: int, total: int | None, note: str = "") -> None:
        now = self.clock()
        self.note = note or self.note
        if self.since is None or done < self.last_done:  # the first call, or counted anew
            self.since = (done, now)
        self.last_done = done
        if now - self.last < _LINE_EVERY_S and (total is None or done < total):
            return
        self.last = now
        spent = now - self.started
        if total is None:
            print(f"{self.title}: {done}, {spent:.0f} s {self.note}".rstrip(), file=sys.stderr, flush=True)
            return
        since_done, since_s = self.since
        if since_done < done < total:
            spent_or_left = f"{(now - since_s) / (done - since_done) * (total - done):.0f} s left"
        else:
            spent_or_left = f"{spent:.0f} s"
        print(f"{self.title}: {done}/{total}, {spent_or_left} {self.note}".rstrip(), file=sys.stderr, flush=True)
