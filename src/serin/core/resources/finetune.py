"""``FineTune``: a run of the stages from training to publishing, on a cluster."""

from typing import Literal

from pydantic import Field

from serin.core.params import EvaluateParams, MergeParams, PublishParams, RunParams, StorageParams, TrainParams
from serin.core.params.cluster import CamelSection, PlacementParams
from serin.core.params.section import Section
from serin.core.resources.condition import Condition
from serin.core.task import DVC_HASH, STAGES, Stage

GROUP = "serin.dev"
VERSION = "v1alpha1"


class FineTuneParams(Section):
    """Sections of ``params.yaml``, with the same fields, rules and defaults."""

    storage: StorageParams
    train: TrainParams = TrainParams()
    runs: RunParams = RunParams()
    merge: MergeParams = MergeParams()
    evaluate: EvaluateParams = EvaluateParams()
    publish: PublishParams = PublishParams()


class Inputs(CamelSection):
    """What goes in, by DVC's content hashes: ``serin job submit`` puts it into storage and fills them in."""

    base: str = Field(pattern=DVC_HASH)
    """The output of the stage ``base``: which model is fine-tuned."""
    model: str | None = Field(default=None, pattern=DVC_HASH)
    """The base model's folder, where it is no hub id."""
    dataset: str = Field(pattern=DVC_HASH)
    """The output of ``prepare``."""
    adapter: str | None = Field(default=None, pattern=DVC_HASH)
    """The output of ``train``, where ``stages`` leaves it out."""
    merged: str | None = Field(default=None, pattern=DVC_HASH)
    """The output of ``merge`` or ``quantise``, likewise."""
    evaluation: str | None = Field(default=None, pattern=DVC_HASH)
    """The output of ``evaluate``, likewise."""


class Run(CamelSection):
    """All that determines and places a run. It never changes: another run is another object."""

    stages: list[Stage] = Field(default=list(STAGES), min_length=1, max_length=4)
    """Which stages run, in their order, without a gap."""
    inputs: Inputs
    params: FineTuneParams
    placement: PlacementParams


class FineTuneSpec(CamelSection):
    """What a user asks for."""

    suspend: bool = False
    """Stop after saving a checkpoint, and hold no GPU; false again goes on."""
    run: Run


StageState = Literal["Waiting", "Queued", "Running", "Suspended", "Done", "Failed"]
Phase = Literal["Pending", "Queued", "Running", "Suspended", "Succeeded", "Failed"]


class Attempt(CamelSection):
    """One pod that worked at a stage."""

    pod: str
    node: str | None = None
    started: str | None = None
    """RFC 3339, UTC."""
    finished: str | None = None
    gpus: int = 0
    exit_code: int | None = None
    reason: str | None = None
    """Why it ended: ``Completed``, ``OOMKilled``, ``Evicted``, ``Preempted`` ..."""


class StageStatus(CamelSection):
    """How one stage stands."""

    name: Stage
    state: StageState = "Waiting"
    job: str | None = None
    """Its Job or JobSet."""
    out: str | None = None
    """DVC hash of its output."""
    digest: str | None = None
    started: str | None = None
    finished: str | None = None
    attempts: list[Attempt] = Field(default=[], max_length=50)
    """The last ones."""
    attempts_before: int = 0
    """Older ones that are no longer listed."""
    gpu_seconds: float = 0.0
    """GPUs times seconds over all attempts, preempted ones too."""


class FineTuneStatus(CamelSection):
    """What the controller saw last."""

    observed_generation: int = 0
    phase: Phase = "Pending"
    stage: Stage | None = None
    job: str | None = None
    step: int | None = None
    steps: int | None = None
    loss: float | None = None
    seconds_left: float | None = None
    stages: list[StageStatus] = Field(default=[], max_length=4)
    gpu_seconds: float = 0.0
    passed: bool | None = None
    """What the gate said."""
    missed: list[str] = Field(default=[], max_length=32)
    revision: str | None = None
    exit_code: int | None = None
    """As the stages' commands would have ended on this machine."""
    conditions: list[Condition] = Field(default=[], max_length=16)
