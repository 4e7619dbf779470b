"""Where a tracker's figures go: DVCLive, TensorBoard, Weights & Biases, MLflow.

A run that goes on has whole curves and no doubled points. What writes local files begins anew, since the tracker is given
the whole history again. What keeps runs elsewhere finds this one by its key, and says in ``last_steps`` what it has.
"""

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from serin.train.watch.watcher import Ending, RunInfo

_PROJECT = "serin"

Curve = Literal["training", "validation"]


@dataclass(frozen=True, slots=True)
class Point:
    """Figures of one step of one curve."""

    curve: Curve
    step: int
    figures: Mapping[str, float]


class Sink(Protocol):
    """Takes points in the order of their steps, in one thread; anything may be raised."""

    last_steps: Mapping[Curve, int]
    """The last step of each curve that the sink has had from earlier attempts."""

    def __init__(self, run: RunInfo, folder: Path) -> None: ...

    def log(self, points: Sequence[Point]) -> None:
        """Take some more."""

    def close(self, how: Ending) -> None:
        """Take no more, and return when all that was taken is safe."""


class DvcLiveSink:
    """DVCLive's files, for ``dvc plots`` while a run goes on; it makes no experiment and touches no dvc.yaml."""

    def __init__(self, run: RunInfo, folder: Path) -> None:  # noqa: ARG002 - each sink's
        from dvclive.live import Live

        shutil.rmtree(folder, ignore_errors=True)
        self.last_steps: Mapping[Curve, int] = {}
        self._live: Any = Live(dir=str(folder), save_dvc_exp=False, dvcyaml=None, report=None)

    def log(self, points: Sequence[Point]) -> None:
        """See ``Sink``."""
        for point in points:
            self._live.step = point.step
            for name, value in point.figures.items():
                self._live.log_metric(name, value)
        self._live.make_summary()

    def close(self, how: Ending) -> None:  # noqa: ARG002 - each sink's
        """See ``Sink``."""
        self._live.end()


class TensorBoardSink:
    """Event files, one an attempt, seen by TensorBoard within seconds.

    The newest has the whole run, and tells TensorBoard to forget what the others say: a TensorBoard that watches would not get
    over their removal.
    """

    def __init__(self, run: RunInfo, folder: Path) -> None:  # noqa: ARG002 - each sink's
        from torch.utils.tensorboard import SummaryWriter

        self.last_steps: Mapping[Curve, int] = {}
        self._writer: Any = SummaryWriter(str(folder), purge_step=0, flush_secs=5)

    def log(self, points: Sequence[Point]) -> None:
        """See ``Sink``."""
        for point in points:
            for name, value in point.figures.items():
                self._writer.add_scalar(name, value, point.step)

    def close(self, how: Ending) -> None:  # noqa: ARG002 - each sink's
        """See ``Sink``."""
        self._writer.close()


class WandbSink:
    """Weights & Biases; its own environment variables say where to, or offline. The run's key is its id.

    Where the server does not answer, W&B by itself tries for 90 s, and the end of the process waits for that: longer than a
    grace period.

    The x axis is the figure ``step``: W&B's own counter refuses a validation that comes after the next attempt has begun.
    """

    MOST_TO_OPEN_S = 20.0

    def __init__(self, run: RunInfo, folder: Path) -> None:
        import wandb

        folder.mkdir(parents=True, exist_ok=True)
        self._run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT", _PROJECT),
            id=run.key[:32],
            resume="allow",
            config=run.params,
            dir=os.environ.get("WANDB_DIR", str(folder)),
            settings=wandb.Settings(silent=True, console="off", init_timeout=self.MOST_TO_OPEN_S),
        )
        self._run.define_metric("*", step_metric="step")
        had: Any = self._run.summary  # the server's, where the run was resumed
        self.last_steps: Mapping[Curve, int] = {
            "training": had.get("step", -1),
            "validation": had.get("validation_step", -1),
        }

    def log(self, points: Sequence[Point]) -> None:
        """See ``Sink``."""
        for point in points:
            mark = {"validation_step": point.step} if point.curve == "validation" else {}
            self._run.log({"step": point.step, **point.figures, **mark})

    def close(self, how: Ending) -> None:
        """See ``Sink``."""
        if how == "preempted":
            self._run.mark_preempting()
        self._run.finish(exit_code=int(how != "finished"))


class MlflowSink:
    """MLflow; MLFLOW_TRACKING_URI says where. The run carries its key as the tag ``serin.run``."""

    _STATUS: Mapping[Ending, str] = {"finished": "FINISHED", "preempted": "KILLED", "failed": "FAILED"}

    def __init__(self, run: RunInfo, folder: Path) -> None:  # noqa: ARG002 - each sink's
        from mlflow.tracking import MlflowClient

        self._client: Any = MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", _PROJECT)
        found = self._client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self._client.create_experiment(name)
        runs = self._client.search_runs([experiment], f"tags.`serin.run` = '{run.key}'", max_results=1)
        if runs:
            self._id: str = runs[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
            self.last_steps: Mapping[Curve, int] = {
                "training": self._last_step_of("loss"),
                "validation": self._last_step_of("validation_loss"),
            }
            return
        tags = {"serin.run": run.key, "mlflow.runName": run.key[:12]}
        self._id = self._client.create_run(experiment, tags=tags).info.run_id
        self.last_steps = {}
        self._log_params(run.params)

    def log(self, points: Sequence[Point]) -> None:
        """See ``Sink``."""
        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        metrics = [Metric(name, value, now_ms, point.step) for point in points for name, value in point.figures.items()]
        self._client.log_batch(self._id, metrics=metrics)  # at most 1,000 in a request, as MLflow wants it

    def close(self, how: Ending) -> None:
        """See ``Sink``."""
        self._client.set_terminated(self._id, self._STATUS[how])

    def _last_step_of(self, metric: str) -> int:
        return max((point.step for point in self._client.get_metric_history(self._id, metric)), default=-1)

    def _log_params(self, params: Mapping[str, object]) -> None:
        from mlflow.entities import Param

        self._client.log_batch(self._id, params=[Param(name, str(value)) for name, value in flatten(params)])


def flatten(params: Mapping[str, object], prefix: str = "") -> list[tuple[str, object]]:
    """Nested params as pairs of a dotted name and a value."""
    pairs: list[tuple[str, object]] = []
    for name, value in params.items():
        if isinstance(value, Mapping):
            pairs += flatten(value, f"{prefix}{name}.")
        else:
            pairs.append((f"{prefix}{name}", value))
    return pairs
