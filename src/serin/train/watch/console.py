"""Progress for people."""

from collections.abc import Callable
from typing import Protocol

from serin.train.history import History, StepRecord, ValidationRecord
from serin.train.watch.watcher import Ending, Phase, RunInfo, Speed


class Bar(Protocol):
    """Shows ``done`` of ``total`` with a note."""

    def __call__(self, done: int, total: int | None, note: str = "") -> None: ...


class Console:
    """A bar with loss and tokens a second, and a line for what people should know."""

    def __init__(self, bar: Bar, say: Callable[[str], None]) -> None:
        self.bar = bar
        self.say = say
        self._steps = 0
        self._validation = ""

    def started(self, run: RunInfo, history: History) -> None:  # noqa: ARG002 - the interface's
        """See ``Watcher``."""
        self._steps = run.steps
        if run.start_step:
            self.say(f"going on from step {run.start_step} of {run.steps} (attempt {run.attempt})")
        self.bar(run.start_step, run.steps)

    def entered(self, phase: Phase, step: int) -> None:
        """See ``Watcher``."""

    def stepped(self, record: StepRecord, speed: Speed) -> None:
        """See ``Watcher``."""
        note = f"loss {record.loss:.3f}{self._validation}, {speed.tokens_per_s:,.0f} tokens/s"
        self.bar(record.step, self._steps, note)

    def validated(self, record: ValidationRecord, best: bool) -> None:  # noqa: ARG002 - the interface's
        """See ``Watcher``."""
        self._validation = f" (validation {record.loss:.3f})"

    def noted(self, message: str) -> None:
        """See ``Watcher``."""
        self.say(message)

    def ended(self, how: Ending, message: str) -> None:
        """See ``Watcher``."""
