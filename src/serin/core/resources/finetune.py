"""``FineTune``: a run of the stages from training to publishing, on a cluster."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from serin.core.params import EvaluateParams, MergeParams, PublishParams, RunParams, StorageParams, TrainParams
from serin.core.params.cluster import CamelSection, PlacementParams
from serin.core.params.section import Section
from serin.core.resources.bounds import faults_of_size
from serin.core.resources.condition import Condition
from serin.core.task import DVC_HASH, INPUTS, OUTPUT, STAGES, Stage, Word

GROUP = "serin.dev"
VERSION = "v1alpha1"
GIVEN: tuple[Word, ...] = ("adapter", "merged", "evaluation")
"""Inputs that a run makes itself, unless ``stages`` leaves their makers out."""


class ClusterStorageParams(StorageParams):
    """Where inputs lie and everything is written: S3, since pods reach no folder of another machine."""

    url: str = Field(pattern=r"^s3://[a-z0-9][a-z0-9.-]+(/.*)?$", max_length=1024)
    """``s3://bucket/prefix``. The DVC remote is ``<url>/dvc``, models are ``<url>/models``."""


def _as_fields(value: Any) -> Any:
    return value.model_dump() if type(value) is StorageParams else value


class FineTuneParams(Section):
    """Sections of ``params.yaml``, with the same fields, rules and defaults."""

    storage: Annotated[ClusterStorageParams, BeforeValidator(_as_fields)]
    train: TrainParams = TrainParams()
    runs: RunParams = RunParams()
    merge: MergeParams = MergeParams()
    evaluate: EvaluateParams = EvaluateParams()
    publish: PublishParams = PublishParams()

    @model_validator(mode="after")
    def _fits_into_an_object(self) -> Self:
        faults = faults_of_size(self.model_dump(mode="json"))
        targets = self.train.lora.target_modules
        if isinstance(targets, str) and targets != "all-linear":
            faults.append(
                f"train.lora.target_modules = {targets!r}: an object on a cluster takes all-linear or a list of names, and no "
                "regular expression; list the modules"
            )
        if faults:
            raise ValueError("; ".join(faults))
        return self


def written(params: FineTuneParams) -> dict[str, Any]:
    """As an object on a cluster has it: JSON, without nulls that are defaults, and a list where params.yaml may have a word."""
    values: dict[str, Any] = _without_default_nulls(params)
    lora = values["train"]["lora"]
    if isinstance(lora["target_modules"], str):
        lora["target_modules"] = [lora["target_modules"]]
    return values


def _without_default_nulls(value: Any) -> Any:
    """Null is left out where it is the default, and kept where it switches a default off."""
    if isinstance(value, Section):
        fields = type(value).model_fields
        pairs = ((name, getattr(value, name)) for name in fields)
        return {
            name: _without_default_nulls(each)
            for name, each in pairs
            if each is not None or fields[name].default is not None
        }
    if isinstance(value, list | tuple):
        return [_without_default_nulls(each) for each in value]
    if isinstance(value, dict):
        return {name: _without_default_nulls(each) for name, each in value.items()}
    return value


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


def takers(word: Word) -> list[Stage]:
    """The stages that take one of ``GIVEN``."""
    return [stage for stage in STAGES if word in INPUTS[stage]]


def maker(word: Word) -> Stage:
    """The stage that makes one of ``GIVEN``."""
    return next(stage for stage in STAGES if OUTPUT[stage] == word)


class Run(CamelSection):
    """All that determines and places a run. It never changes: another run is another object."""

    stages: list[Stage] = Field(default=list(STAGES), min_length=1, max_length=4)
    """Which stages run, in their order, without a gap."""
    inputs: Inputs
    params: FineTuneParams
    placement: PlacementParams

    @model_validator(mode="after")
    def _has_stages_in_a_row(self) -> Self:
        first = STAGES.index(self.stages[0])
        if tuple(self.stages) != STAGES[first : first + len(self.stages)]:
            found = ", ".join(self.stages)
            raise ValueError(f"stages = {found}: must be {', '.join(STAGES)}, or a part of it without a gap")
        return self

    @model_validator(mode="after")
    def _is_given_what_it_does_not_make(self) -> Self:
        faults = []
        for word in GIVEN:
            taking = [stage for stage in takers(word) if stage in self.stages]
            if taking and maker(word) not in self.stages and getattr(self.inputs, word) is None:
                faults.append(
                    f"inputs.{word}: missing, and {taking[0]} needs it; give its hash or add {maker(word)} to stages"
                )
        if faults:
            raise ValueError("; ".join(faults))
        return self


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
    job_uid: str | None = None
    """Of the one that was seen last: another one means that it was deleted and made again."""
    remade: int = 0
    """How often the Job was made again because somebody had deleted it."""
    out: str | None = None
    """DVC hash of its output."""
    digest: str | None = None
    started: str | None = None
    finished: str | None = None
    attempts: list[Attempt] = Field(default=[], max_length=50)
    """The last ones."""
    attempts_before: int = 0
    """Older ones that are no longer listed."""
    gpu_seconds_before: float = 0.0
    """What the older ones took."""
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
    tokens_per_s: float | None = None
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

    def of_stage(self, stage: Stage) -> StageStatus:
        """A stage's record; an empty one where it has none yet."""
        return next((each for each in self.stages if each.name == stage), StageStatus(name=stage))
