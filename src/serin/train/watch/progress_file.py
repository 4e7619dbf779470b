"""``progress.json``: where a run stands, for controllers and for whoever asks."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from serin.clients.files import write_json
from serin.train.history import History, StepRecord, ValidationRecord
from serin.train.watch.watcher import Ending, Phase, RunInfo, Speed

_EVERY_S = 1.0
_FIELDS = (
    *("run", "attempt", "phase", "step", "steps", "epoch", "loss", "learning_rate", "validation_loss"),
    *("best_validation_loss", "tokens_per_s", "seconds_left", "micro_batch_size", "message"),
)


class ProgressFile:
    """Replaces the file as a whole, about once a second and whenever the phase changes.

    Fields: ``run``, ``attempt``, ``phase`` (``starting``, ``training``, ``evaluating``, ``saving``, ``finished``, ``preempted``,
    ``failed``), ``step``, ``steps``, ``epoch``, ``loss``, ``learning_rate``, ``validation_loss``, ``best_validation_loss``,
    ``tokens_per_s``, ``seconds_left``, ``micro_batch_size``, ``message`` and ``updated`` (UTC). What is not known yet is null.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self.clock = clock
        self._written_at = -_EVERY_S
        self._now: dict[str, Any] = {**dict.fromkeys(_FIELDS), "phase": "starting"}

    def started(self, run: RunInfo, history: History) -> None:
        """See ``Watcher``."""
        self._now |= {"run": run.key, "attempt": run.attempt, "step": run.start_step, "steps": run.steps}
        if history.validations and history.best:
            self._now |= {
                "validation_loss": history.validations[-1].loss,
                "best_validation_loss": history.best.loss,
            }
        self._write()

    def entered(self, phase: Phase, step: int) -> None:
        """See ``Watcher``."""
        changed = self._now["phase"] != phase
        self._now |= {"phase": phase, "step": step}
        if changed:
            self._write()

    def stepped(self, record: StepRecord, speed: Speed) -> None:
        """See ``Watcher``."""
        self._now |= {
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
        self._now["validation_loss"] = record.loss
        if best:
            self._now["best_validation_loss"] = record.loss
        self._write()

    def noted(self, message: str) -> None:
        """See ``Watcher``."""
        self._now["message"] = message
        self._write()

    def ended(self, how: Ending, message: str) -> None:
        """See ``Watcher``."""
        self._now |= {"phase": how, "message": message or self._now["message"]}
        self._write()

    def _write(self) -> None:
        self._written_at = self.clock()
        write_json(self.path, self._now | {"updated": datetime.now(UTC).isoformat(timespec="seconds")})
