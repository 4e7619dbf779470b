"""The trackers that ``runs.trackers`` names: which figures they are given, and when.

A thread of each tracker's own opens it and sends, so that neither a slow server nor one that is down ever holds up a step.
"""

import importlib
import os
import queue
import threading
from collections.abc import Callable, MutableMapping, Sequence
from pathlib import Path

from serin.core.errors import ConfigError, StorageError
from serin.train.history import History, StepRecord, ValidationRecord
from serin.train.watch.sinks import DvcLiveSink, MlflowSink, Point, Sink, TensorBoardSink, WandbSink
from serin.train.watch.watcher import Ending, Phase, RunInfo, Speed

_MOST_POINTS_AT_ONCE = 200
_PATIENCE_S: dict[Ending, float] = {"finished": 60.0, "failed": 10.0, "preempted": 5.0}
"""How long the end of a run waits for the last figures to be taken; after SIGTERM there is little time."""

_MODULES = {
    "dvclive": "dvclive.live",
    "tensorboard": "torch.utils.tensorboard",
    "wandb": "wandb",
    "mlflow": "mlflow.tracking",
}
_SINKS: dict[str, type[Sink]] = {
    "dvclive": DvcLiveSink,
    "tensorboard": TensorBoardSink,
    "wandb": WandbSink,
    "mlflow": MlflowSink,
}
_QUIET = {
    "wandb": {"WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"},
    "mlflow": {"MLFLOW_DISABLE_TELEMETRY": "true"},
}
"""Both report to their makers from the import on, unless the environment says otherwise."""
_WITHOUT_KEY = ("offline", "dryrun", "disabled")
"""W&B's modes that send nothing."""


class Tracker:
    """A watcher that hands figures to a sink; ``name`` is what messages call it."""

    def __init__(
        self, name: str, open_sink: Callable[[RunInfo], Sink], patience_s: dict[Ending, float] = _PATIENCE_S
    ) -> None:
        self.name = name
        self.open_sink = open_sink
        self.patience_s = patience_s
        self._waiting: queue.SimpleQueue[Point | Ending] = queue.SimpleQueue()
        self._failure: Exception | None = None
        self._thread: threading.Thread | None = None

    def started(self, run: RunInfo, history: History) -> None:
        """See ``Watcher``. What the run has behind it goes first: the sink leaves out what it has already."""
        validations = {record.step: record for record in history.validations}
        for record in history.steps:
            self._waiting.put(_of_step(record))
            if record.step in validations:
                self._waiting.put(_of_validation(validations[record.step]))
        self._thread = threading.Thread(target=self._send, args=(run,), name=f"tracker {self.name}", daemon=True)
        self._thread.start()

    def entered(self, phase: Phase, step: int) -> None:
        """See ``Watcher``."""

    def stepped(self, record: StepRecord, speed: Speed) -> None:
        """See ``Watcher``."""
        self._put(_of_step(record, tokens_per_s=speed.tokens_per_s))

    def validated(self, record: ValidationRecord, best: bool) -> None:  # noqa: ARG002 - the interface's
        """See ``Watcher``."""
        self._put(_of_validation(record))

    def noted(self, message: str) -> None:
        """See ``Watcher``."""

    def ended(self, how: Ending, message: str) -> None:  # noqa: ARG002 - the interface's
        """See ``Watcher``."""
        if self._thread is None:
            return
        self._put(how)
        self._thread.join(self.patience_s[how])
        self._raise_failure()
        if self._thread.is_alive():
            raise StorageError(f"{self.name} has not taken the last figures within {self.patience_s[how]:.0f} s")

    def _put(self, item: Point | Ending) -> None:
        self._raise_failure()
        self._waiting.put(item)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise StorageError(f"{self.name}: {self._failure}") from self._failure

    def _send(self, run: RunInfo) -> None:
        try:
            sink = self.open_sink(run)
            ending: Ending | None = None
            while ending is None:
                points, ending = self._take()
                if news := [point for point in points if point.step > sink.last_steps.get(point.curve, -1)]:
                    sink.log(news)
            sink.close(ending)
        except Exception as error:  # raised again in the thread that trains, by the next call
            self._failure = error

    def _take(self) -> tuple[list[Point], Ending | None]:
        """All that waits, up to a bound; waits for the first."""
        points: list[Point] = []
        item = self._waiting.get()
        while True:
            if isinstance(item, str):
                return points, item
            points.append(item)
            if len(points) == _MOST_POINTS_AT_ONCE:
                return points, None
            try:
                item = self._waiting.get_nowait()
            except queue.Empty:
                return points, None


def trackers(names: Sequence[str], folder: Path, environment: MutableMapping[str, str] = os.environ) -> list[Tracker]:
    """A tracker for each name; local files go to ``folder``, a folder each.

    Nothing is imported but what is named.

    Raises:
        ConfigError: one that is not installed, or that is not told where to send.
    """
    made = []
    for name in names:
        for variable, value in _QUIET.get(name, {}).items():
            environment.setdefault(variable, value)
        try:
            importlib.import_module(_MODULES[name])
        except ImportError as error:
            raise ConfigError(
                f"runs.trackers: {name} is not installed ({error}): pip install 'serin[tracking]', or leave it out"
            ) from error
        if name == "mlflow" and "MLFLOW_TRACKING_URI" not in environment:
            raise ConfigError(
                "runs.trackers: mlflow needs to know its server: set MLFLOW_TRACKING_URI, or leave it out"
            )
        if name == "wandb":
            _refuse_without_key()
        made.append(Tracker(name, _opener(_SINKS[name], folder / name)))
    return made


def _refuse_without_key() -> None:
    """Raises ConfigError where W&B would ask for a key on the terminal, in the middle of training."""
    import wandb

    if wandb.setup().settings.mode not in _WITHOUT_KEY and not wandb.login(prompt=False, verify=False):
        raise ConfigError(
            "runs.trackers: wandb has no API key: run 'wandb login', set WANDB_API_KEY, set WANDB_MODE=offline, or leave it "
            "out"
        )


def _opener(sink: type[Sink], folder: Path) -> Callable[[RunInfo], Sink]:
    return lambda run: sink(run, folder)


def _of_step(record: StepRecord, **speed: float) -> Point:
    figures = {"loss": record.loss, "learning_rate": record.learning_rate, "grad_norm": record.grad_norm}
    return Point("training", record.step, figures | speed)


def _of_validation(record: ValidationRecord) -> Point:
    return Point("validation", record.step, {"validation_loss": record.loss})
