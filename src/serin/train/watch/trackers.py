"""The trackers that ``runs.trackers`` names: DVCLive, TensorBoard, Weights & Biases, MLflow.

A run that goes on has whole curves and no doubled points. What writes local files begins anew and is given the history that
the checkpoint carries; what keeps runs elsewhere finds this one by its key, and is given what it does not have yet.
"""

import importlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from serin.core.errors import ConfigError
from serin.train.history import History, StepRecord, ValidationRecord
from serin.train.watch.watcher import Ending, Phase, RunInfo, Speed

_PROJECT = "serin"


class Sink(Protocol):
    """Where figures go."""

    last_step: int
    """The last step that it has already, -1 where it has none."""

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Take figures of one step."""

    def close(self, failed: bool) -> None:
        """Take no more."""


class Tracker:
    """A watcher that hands figures to a sink, which it opens when the run starts."""

    def __init__(self, open_sink: Callable[[RunInfo], Sink]) -> None:
        self.open_sink = open_sink
        self.sink: Sink | None = None

    def started(self, run: RunInfo, history: History) -> None:
        """See ``Watcher``."""
        self.sink = self.open_sink(run)
        validations = {record.step: record for record in history.validations}
        for record in history.steps:
            self._log(record.step, _of_step(record))
            if record.step in validations:
                self._log(record.step, _of_validation(validations[record.step]))

    def entered(self, phase: Phase, step: int) -> None:
        """See ``Watcher``."""

    def stepped(self, record: StepRecord, speed: Speed) -> None:
        """See ``Watcher``."""
        self._log(record.step, {**_of_step(record), "tokens_per_s": speed.tokens_per_s})

    def validated(self, record: ValidationRecord, best: bool) -> None:  # noqa: ARG002 - the interface's
        """See ``Watcher``."""
        self._log(record.step, _of_validation(record))

    def noted(self, message: str) -> None:
        """See ``Watcher``."""

    def ended(self, how: Ending, message: str) -> None:  # noqa: ARG002 - the interface's
        """See ``Watcher``."""
        if self.sink is not None:
            self.sink.close(how == "failed")

    def _log(self, step: int, figures: Mapping[str, float]) -> None:
        assert self.sink is not None
        if step > self.sink.last_step:
            self.sink.log(step, figures)


def trackers(names: Sequence[str], folder: Path, environment: Mapping[str, str] = os.environ) -> list[Tracker]:
    """A tracker for each name; local files go to ``folder``, a folder each.

    Raises:
        ConfigError: one that is not installed, or that is not told where to send.
    """
    made = []
    for name in names:
        module, sink = _KNOWN[name]
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ConfigError(
                f"runs.trackers: {name} is not installed ({error}): pip install 'serin[tracking]', or leave it out"
            ) from error
        if name == "mlflow" and "MLFLOW_TRACKING_URI" not in environment:
            raise ConfigError(
                "runs.trackers: mlflow needs to know its server: set MLFLOW_TRACKING_URI, or leave it out"
            )
        made.append(Tracker(_opener(sink, folder / name)))
    return made


def _opener(sink: Callable[[RunInfo, Path], Sink], folder: Path) -> Callable[[RunInfo], Sink]:
    return lambda run: sink(run, folder)


def _of_step(record: StepRecord) -> dict[str, float]:
    return {"loss": record.loss, "learning_rate": record.learning_rate, "grad_norm": record.grad_norm}


def _of_validation(record: ValidationRecord) -> dict[str, float]:
    return {"validation_loss": record.loss}


class _DvcLive:
    """DVCLive's files, for ``dvc plots`` while a run goes on; it makes no experiment and touches no dvc.yaml."""

    def __init__(self, run: RunInfo, folder: Path) -> None:  # noqa: ARG002 - each sink's
        from dvclive.live import Live

        shutil.rmtree(folder, ignore_errors=True)
        self.last_step = -1
        self._live: Any = Live(dir=str(folder), save_dvc_exp=False, dvcyaml=None, report=None)

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        self._live.step = step
        for name, value in figures.items():
            self._live.log_metric(name, value)
        self._live.make_summary()

    def close(self, failed: bool) -> None:  # noqa: ARG002 - each sink's
        self._live.end()


class _TensorBoard:
    """Event files."""

    def __init__(self, run: RunInfo, folder: Path) -> None:  # noqa: ARG002 - each sink's
        from torch.utils.tensorboard import SummaryWriter

        shutil.rmtree(folder, ignore_errors=True)
        self.last_step = -1
        self._writer: Any = SummaryWriter(str(folder))

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)

    def close(self, failed: bool) -> None:  # noqa: ARG002 - each sink's
        self._writer.close()


class _WandB:
    """Weights & Biases; its own environment variables say where to, or offline. The run's key is its id."""

    def __init__(self, run: RunInfo, folder: Path) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        folder.mkdir(parents=True, exist_ok=True)
        self._run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT", _PROJECT),
            id=run.key[:32],
            resume="allow",
            config=run.params,
            dir=os.environ.get("WANDB_DIR", str(folder)),
            settings=wandb.Settings(silent=True),
        )
        self.last_step = self._run.step - 1 if self._run.resumed else -1

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        self._run.log(dict(figures), step=step)

    def close(self, failed: bool) -> None:
        self._run.finish(exit_code=int(failed))


class _MLflow:
    """MLflow; MLFLOW_TRACKING_URI says where. The run carries its key as the tag ``serin.run``."""

    def __init__(self, run: RunInfo, folder: Path) -> None:  # noqa: ARG002 - each sink's
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow.tracking import MlflowClient

        self._client: Any = MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", _PROJECT)
        found = self._client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self._client.create_experiment(name)
        runs = self._client.search_runs([experiment], f"tags.`serin.run` = '{run.key}'", max_results=1)
        if runs:
            self._id: str = runs[0].info.run_id
            points = self._client.get_metric_history(self._id, "loss")
            self.last_step = max((point.step for point in points), default=-1)
            return
        tags = {"serin.run": run.key, "mlflow.runName": run.key[:12]}
        self._id = self._client.create_run(experiment, tags=tags).info.run_id
        self.last_step = -1
        for param, value in run.params.items():
            self._client.log_param(self._id, param, value)

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._client.log_metric(self._id, name, value, step=step)

    def close(self, failed: bool) -> None:
        self._client.set_terminated(self._id, "FAILED" if failed else "FINISHED")


_KNOWN: Mapping[str, tuple[str, Callable[[RunInfo, Path], Sink]]] = {
    "dvclive": ("dvclive", _DvcLive),
    "tensorboard": ("tensorboard", _TensorBoard),
    "wandb": ("wandb", _WandB),
    "mlflow": ("mlflow", _MLflow),
}
