"""Several watchers as one."""

from collections.abc import Callable, Sequence

from serin.train.history import History, StepRecord, ValidationRecord
from serin.train.watch.watcher import Ending, Phase, RunInfo, Speed, Watcher


class Watchers:
    """Tells each; one that fails is told of through the others and left out, since a run is worth more than its curves."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self._watchers = list(watchers)

    def started(self, run: RunInfo, history: History) -> None:
        """See ``Watcher``."""
        self._tell(lambda watcher: watcher.started(run, history))

    def entered(self, phase: Phase, step: int) -> None:
        """See ``Watcher``."""
        self._tell(lambda watcher: watcher.entered(phase, step))

    def stepped(self, record: StepRecord, speed: Speed) -> None:
        """See ``Watcher``."""
        self._tell(lambda watcher: watcher.stepped(record, speed))

    def validated(self, record: ValidationRecord, best: bool) -> None:
        """See ``Watcher``."""
        self._tell(lambda watcher: watcher.validated(record, best))

    def noted(self, message: str) -> None:
        """See ``Watcher``."""
        self._tell(lambda watcher: watcher.noted(message))

    def ended(self, how: Ending, message: str) -> None:
        """See ``Watcher``."""
        self._tell(lambda watcher: watcher.ended(how, message))

    def _tell(self, call: Callable[[Watcher], None]) -> None:
        failures = []
        for watcher in list(self._watchers):
            try:
                call(watcher)
            except Exception as error:  # a tracker's library may raise anything, and none of it may end a run
                self._watchers.remove(watcher)
                failures.append(f"{type(watcher).__name__} failed ({error}) and is left out from now on")
        for failure in failures:  # ends: each is of a watcher that was removed
            self.noted(failure)
