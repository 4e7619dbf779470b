"""The first steps of the very run, timed; nothing of them is kept."""

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from serin.core.params import Params
from serin.train import stage
from serin.train.history import History, StepRecord, ValidationRecord
from serin.train.plan.hours import Pace
from serin.train.watch.watcher import Ending, Phase, RunInfo, Speed, Watcher
from serin.train.watch.watchers import Watchers


class _Timer:
    """A watcher that keeps what each thing took."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.began = clock()
        self.first_step_at: float | None = None
        self.seconds: list[float] = []
        self.tokens: list[int] = []
        self.others_s: dict[Phase, list[float]] = {"training": [], "evaluating": [], "saving": []}
        self._phase: Phase = "training"
        self._since = self.began

    def started(self, run: RunInfo, history: History) -> None:
        """See ``Watcher``."""

    def entered(self, phase: Phase, step: int) -> None:  # noqa: ARG002 - the protocol's
        """See ``Watcher``."""
        self._leave()
        self._phase = phase
        if phase == "training" and self.first_step_at is None:
            self.first_step_at = self._since

    def stepped(self, record: StepRecord, speed: Speed) -> None:  # noqa: ARG002 - the protocol's
        """See ``Watcher``."""
        self.seconds.append(self.clock() - self._since)
        self.tokens.append(record.tokens)

    def validated(self, record: ValidationRecord, best: bool) -> None:  # noqa: ARG002 - the protocol's
        """See ``Watcher``."""
        self._leave()

    def noted(self, message: str) -> None:
        """See ``Watcher``."""

    def ended(self, how: Ending, message: str) -> None:
        """See ``Watcher``."""

    def _leave(self) -> None:
        now = self.clock()
        self.others_s[self._phase].append(now - self._since)
        self._since, self._phase = now, "training"

    def pace(self) -> Pace:
        """What was timed."""
        assert self.first_step_at is not None
        longest = {phase: max(seconds, default=0.0) for phase, seconds in self.others_s.items()}
        return Pace(
            self.first_step_at - self.began,
            tuple(self.seconds),
            tuple(self.tokens),
            longest["evaluating"],
            longest["saving"],
        )


def calibrate(params: Params, inputs: stage.Inputs, steps: int, watcher: Watcher) -> Pace:
    """Train for ``steps`` steps in a scratch folder, with one evaluation and one checkpoint at least, and time them.

    Raises:
        ConfigError: what training itself would refuse.
    """
    short = params.train.model_copy(update={"max_steps": steps})
    with TemporaryDirectory(prefix="serin-calibrate-") as scratch:
        checkpoints = params.runs.checkpoints.model_copy(
            update={"folder": scratch, "every_steps": max(1, steps // 2), "to_storage": "never"}
        )
        runs = params.runs.model_copy(update={"checkpoints": checkpoints, "trackers": []})
        timer = _Timer()
        stage.run(
            params.model_copy(update={"train": short, "runs": runs}),
            inputs,
            Path(scratch) / "out",
            lambda _: Watchers([watcher, timer]),
        )
    return timer.pace()
