"""``params.yaml`` as typed, immutable values: one section a stage, every fault reported at once."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ValidationError

from serin.core.errors import ParamsError
from serin.core.params.access import AccessParams
from serin.core.params.cluster import KubernetesParams, PlacementParams, ResourceParams, Toleration
from serin.core.params.data import BaseParams, RebuildParams, StorageParams
from serin.core.params.evaluation import (
    EvaluateParams,
    ForgettingParams,
    JudgeParams,
    RelevanceParams,
    RuleParams,
    SafetyParams,
)
from serin.core.params.experiment import ExperimentParams
from serin.core.params.gateway import GatewayParams
from serin.core.params.merging import MergeParams, PublishParams, QuantiseParams
from serin.core.params.preparation import (
    AugmentParams,
    EndpointParams,
    LanguageParams,
    LimitParams,
    NearDuplicateParams,
    PersonalDataParams,
    PrepareParams,
    SemanticDuplicateParams,
    SensitiveWordParams,
    SourceParams,
    SplitParams,
)
from serin.core.params.rollout import Metric, MetricParams, RolloutParams, StepParams
from serin.core.params.section import Section
from serin.core.params.serving import AutoscalingParams, RevisionParams, ServeParams
from serin.core.params.telemetry import CaptureParams, TelemetryParams
from serin.core.params.training import CheckpointParams, LoraParams, RunParams, TrainParams, ValidationParams

__all__ = [
    "AccessParams",
    "AugmentParams",
    "AutoscalingParams",
    "BaseParams",
    "CaptureParams",
    "CheckpointParams",
    "EndpointParams",
    "EvaluateParams",
    "ExperimentParams",
    "ForgettingParams",
    "GatewayParams",
    "JudgeParams",
    "KubernetesParams",
    "LanguageParams",
    "LimitParams",
    "LoraParams",
    "MergeParams",
    "Metric",
    "MetricParams",
    "NearDuplicateParams",
    "Params",
    "PersonalDataParams",
    "PlacementParams",
    "PrepareParams",
    "PublishParams",
    "QuantiseParams",
    "RebuildParams",
    "RelevanceParams",
    "ResourceParams",
    "RevisionParams",
    "RolloutParams",
    "RuleParams",
    "RunParams",
    "SafetyParams",
    "SemanticDuplicateParams",
    "SensitiveWordParams",
    "ServeParams",
    "SourceParams",
    "SplitParams",
    "StepParams",
    "StorageParams",
    "TelemetryParams",
    "Toleration",
    "TrainParams",
    "ValidationParams",
    "parse_params",
]


class Params(Section):
    """The whole of ``params.yaml``; every section and field has a default."""

    storage: StorageParams = StorageParams()
    base: BaseParams = BaseParams()
    prepare: PrepareParams = PrepareParams()
    train: TrainParams = TrainParams()
    runs: RunParams = RunParams()
    merge: MergeParams = MergeParams()
    quantise: QuantiseParams = QuantiseParams()
    evaluate: EvaluateParams = EvaluateParams()
    publish: PublishParams = PublishParams()
    serve: ServeParams = ServeParams()
    rollout: RolloutParams = RolloutParams()
    experiment: ExperimentParams = ExperimentParams()
    executor: Literal["local", "kubernetes"] = "local"
    """Where train, merge, evaluate and publish run: in a process of this machine, or as Jobs of a cluster."""
    kubernetes: KubernetesParams | None = None
    """The cluster; needed where ``executor`` is ``kubernetes``."""


def parse_params(values: Mapping[str, Any] | None, source: str) -> Params:
    """Validate what stood in ``source``. Raises ParamsError with all faults: path, value, rule, what to do."""
    try:
        params = Params.model_validate(values or {})
    except ValidationError as error:
        faults = []
        for fault in error.errors():
            path = ".".join(str(part) for part in fault["loc"]) or "(root)"
            if fault["type"] == "extra_forbidden":
                faults.append(f"{path} = {fault['input']!r}: no such param; remove it or mend its name in {source}")
            else:
                rule = fault["msg"].removeprefix("Value error, ")
                shown = repr(fault["input"]) if len(repr(fault["input"])) <= 80 else "…"
                faults.append(f"{path} = {shown}: {rule}; edit {source}")
        raise ParamsError(source, faults) from error
    faults = faults_between_sections(params)
    if faults:
        raise ParamsError(source, [f"{fault}; edit {source}" for fault in faults])
    return params


def faults_between_sections(params: Params) -> list[str]:
    """Rules that no single section can see."""
    faults = []
    if params.prepare.max_tokens > params.train.max_tokens:
        faults.append(
            f"prepare.max_tokens = {params.prepare.max_tokens}: must not be above train.max_tokens = "
            f"{params.train.max_tokens}, or training would have to refuse what prepare let pass"
        )
    if params.executor == "kubernetes":
        if params.kubernetes is None:
            faults.append(
                "kubernetes: missing, and executor: kubernetes needs it; add the section, at least with image: (the train image)"
            )
        if not params.storage.url.startswith("s3://"):
            faults.append(
                f"storage.url = {params.storage.url!r}: must be s3://bucket/prefix where executor is kubernetes, since "
                "pods reach no folder of this machine"
            )
    elif params.serve.executor == "kubernetes" and not params.storage.url.startswith("s3://"):
        faults.append(
            f"storage.url = {params.storage.url!r}: must be s3://bucket/prefix where serve.executor is kubernetes, since "
            "revisions there fetch their models from it"
        )
    return faults
