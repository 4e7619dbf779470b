"""``progress.json``: where a run stands, for controllers and for whoever asks."""

import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from serin.clients.files import write_json
from serin.train.history import History, StepRecord, ValidationRecord
from serin.train.watch.watcher import Ending, Phase, RunInfo, Speed

_EVERY_S = 1.0
_FIELDS = (
    *("run", "attempt", "phase", "step", "steps", "epoch", "loss", "learning_rate", "validation_loss"),
    *("best_validation_loss", "tokens_per_s", "seconds_left", "micro_batch_size", "message"),
)


def utc_now() -> datetime:
    """The time of day."""
    return datetime.now(UTC)


class ProgressFile:
    """Replaces the file as a whole, about once a second and whenever the phase changes.

    It always has these fields; what is not known yet is null:

    - ``run``: the run's key, 64 hex digits; ``attempt``: from 1 on
    - ``phase``: ``starting``, ``training``, ``evaluating`` or ``saving``, and last ``finished``, ``preempted`` or ``failed``
    - ``step``: optimizer steps that are done, of ``steps``; ``epoch``: passes over the data that are done, with a fraction
    - ``loss``, ``validation_loss``, ``best_validation_loss``: nats a trained token; ``learning_rate``
    - ``tokens_per_s``, ``seconds_left``, ``micro_batch_size`` (examples)
    - ``message``: the last thing that people should know, at the end why it ended
    - ``updated``: when the file was written, ISO 8601 in UTC

    A disk that is full costs a write, and the next one is tried again.
    """

    def __init__(
        self, path: Path, clock: Callable[[], float] = time.monotonic, now: Callable[[], datetime] = utc_now
    ) -> None:
        self.path = path
        self.clock = clock
        self.now = now
        self._written_at = -_EVERY_S
        self._shown: dict[str, Any] = {**dict.fromkeys(_FIELDS), "phase": "starting"}

    def started(self, run: RunInfo, history: History) -> None:
        """See ``Watcher``."""
        self._shown |= {"run": run.key, "attempt": run.attempt, "step": run.start_step, "steps": run.steps}
        if history.validations and history.best:
            self._shown |= {
                "validation_loss": history.validations[-1].loss,
                "best_validation_loss": history.best.loss,
            }
        self._write()

    def entered(self, phase: Phase, step: int) -> None:
        """See ``Watcher``."""
        changed = self._shown["phase"] != phase
        self._shown |= {"phase": phase, "step": step}
        if changed:
            self._write()

    def stepped(self, record: StepRecord, speed: Speed) -> None:
        """See ``Watcher``."""
        self._shown |= {
            "step": record.step,
            "epoch": record.epoch,
            "loss": record.loss,
            "learning_rate": record.learning_rate,
            "tokens_per_s": round(speed.tokens_per_s, 1),
            "seconds_left": round(speed.seconds_left, 1),
            "micro_batch_size": speed.micro_batch_size,
        }
        if self.clock() - self._written_at >= _EVERY_S:
            self._write()

    def validated(self, record: ValidationRecord, best: bool) -> None:
        """See ``Watcher``."""
        self._shown["validation_loss"] = record.loss
        if best:
            self._shown["best_validation_loss"] = record.loss
        self._write()

    def noted(self, message: str) -> None:
        """See ``Watcher``."""
        if self._shown["phase"] in get_args(Ending):  # why the run ended is what people should know last
            return
        self._shown["message"] = message
        self._write()

    def ended(self, how: Ending, message: str) -> None:
        """See ``Watcher``."""
        self._shown |= {"phase": how, "message": message or self._shown["message"]}
        self._write()

    def _write(self) -> None:
        self._written_at = self.clock()
        with contextlib.suppress(OSError):
            write_json(self.path, self._shown | {"updated": self.now().isoformat(timespec="seconds")})
