"""The steps of an experiment, as ``steplog`` keeps them, and all experiments of one place."""

from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field

from serin.clients.storage import FolderStorage, Storage
from serin.rollout.experiment.state import CountedUnit, ExperimentState
from serin.rollout.steplog import NumberedStep, StepLog, StepLogs


class ExperimentStep(NumberedStep):
    """One step of an experiment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    t: float
    """When, in Unix seconds."""
    action: Literal["create", "count", "stop"]
    person: str = ""
    """Who did it by hand."""
    positions: dict[str, int] = Field(default_factory=dict)
    """Where a process that starts anew reads each source of evidence."""
    state: ExperimentState
    """What holds after it."""


class ExperimentStore(StepLog[ExperimentStep, CountedUnit]):
    """The steps of one experiment."""

    def __init__(self, storage: Storage, name: str, prefix: str = "") -> None:
        super().__init__(storage, name, prefix, ExperimentStep, CountedUnit, "experiment")


class Experiments(StepLogs[ExperimentStore]):
    """All experiments of one place."""

    noun = "experiment"
    listed_by = "'serin experiment status' without a name shows the newest"

    def of(self, name: str) -> ExperimentStore:
        """The steps of one."""
        return ExperimentStore(self.storage, name, self.prefix)


def local_experiments(folder: Path) -> Experiments:
    """Those in a folder of this machine."""
    return Experiments(FolderStorage(folder.absolute()))
