"""Section ``kubernetes``: where the stages run when ``executor`` is ``kubernetes``; no tracked params."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from serin.core.params.section import Section

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LABEL_VALUE = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
_QUALIFIED = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
ObjectName = Annotated[str, Field(pattern=rf"^{_LABEL}(\.{_LABEL})*$", max_length=253)]
"""A DNS subdomain (RFC 1123), as most objects are called."""
LabelName = Annotated[str, Field(pattern=rf"^{_LABEL}$", max_length=63)]
"""A DNS label (RFC 1123)."""
LabelKey = Annotated[str, Field(pattern=_QUALIFIED, max_length=316)]
"""A label's or a taint's key: a prefix of at most 253 characters, a slash and a name of at most 63."""
LabelValue = Annotated[str, Field(pattern=_LABEL_VALUE, max_length=63)]
"""A label's or a taint's value."""
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=256)]
"""An environment variable's."""
VariableValue = Annotated[str, Field(max_length=4096)]


class CamelSection(Section):
    """A section whose fields read as Kubernetes' own in a manifest (``nodeSelector``), and as Serin's in params.yaml."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, validate_by_alias=True)


class Toleration(CamelSection):
    """A taint that pods may be scheduled in spite of; as in a pod's spec."""

    key: LabelKey | None = None
    """The taint's key; null: every key."""
    operator: Literal["Exists", "Equal"] = "Equal"
    """How ``value`` is compared."""
    value: LabelValue | None = None
    """The taint's value."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Which effect; null: all."""

    @model_validator(mode="after")
    def _compares_what_there_is(self) -> Self:
        if self.operator == "Exists" and self.value is not None:
            raise ValueError("operator Exists compares no value: leave value out, or make it Equal")
        if self.operator == "Equal" and self.key is None:
            raise ValueError(
                "operator Equal needs a key: name it, or make it Exists, which without a key means every taint"
            )
        return self


class ResourceParams(CamelSection):
    """What one pod of a stage gets."""

    cpu: str = Field(default="4", pattern=r"^[0-9]+(\.[0-9]+)?m?$", max_length=16)
    """CPU cores that are requested."""
    memory: str = Field(default="32Gi", pattern=r"^[1-9][0-9]*(Ki|Mi|Gi|Ti)$", max_length=16)
    """Memory, requested and limit; ``shared_memory`` counts towards it."""
    shared_memory: str = Field(default="2Gi", pattern=r"^[1-9][0-9]*(Ki|Mi|Gi|Ti)$", max_length=16)
    """Size of /dev/shm, which NCCL and data loaders use."""
    scratch: str = Field(default="50Gi", pattern=r"^[1-9][0-9]*(Ki|Mi|Gi|Ti)$", max_length=16)
    """Disk for the base model, data and outputs."""
    gpus: int = Field(default=1, ge=0, le=16)
    """GPUs of each pod; 0: none."""
    gpu_resource: str = Field(default="nvidia.com/gpu", pattern=r"^[a-z0-9.-]+/[a-zA-Z0-9._-]+$", max_length=63)
    """The extended resource's name, such as ``amd.com/gpu`` or a slice of a GPU."""


class PlacementParams(CamelSection):
    """Where the pods run and for how long."""

    image: str = Field(pattern=r"^\S+$", max_length=512)
    """The train image, best with its digest."""
    image_pull_secrets: list[ObjectName] = Field(default=[], max_length=8)
    """Names of secrets for its registry."""
    queue: LabelName | None = None
    """Kueue's LocalQueue; null: Kubernetes schedules at once."""
    priority_class: ObjectName | None = None
    """The pods' PriorityClass."""
    service_account: ObjectName = "serin-run"
    """Gives the pods their identity towards S3; its API token is never mounted."""
    secrets: list[ObjectName] = Field(default=[], max_length=8)
    """Names of secrets whose entries become environment variables, such as AWS_ACCESS_KEY_ID or HF_TOKEN."""
    environment: dict[VariableName, VariableValue] = Field(default={}, max_length=32)
    """Variables of the pods, such as NCCL_SOCKET_IFNAME; never a secret, since whoever may read Jobs may read them."""
    node_selector: dict[LabelKey, LabelValue] = Field(default={}, max_length=16)
    """Labels that a node must have."""
    tolerations: list[Toleration] = Field(default=[], max_length=16)
    """Taints that are tolerated; that of GPU nodes is, where GPUs are asked for."""
    nodes: int = Field(default=1, ge=1, le=64)
    """Pods that train together, by JobSet and torchrun; the other stages run in one."""
    train: ResourceParams = ResourceParams()
    """Of ``train``."""
    other: ResourceParams = ResourceParams(gpus=1)
    """Of ``merge``, ``evaluate`` and ``publish``; only ``evaluate`` takes the GPUs."""
    retries: int = Field(default=3, ge=0, le=20)
    """Failures of a stage before it is given up; disruptions and preemptions do not count."""
    deadline_s: int = Field(default=172_800, ge=60, le=2_592_000)
    """Longest time of a stage since it was started or resumed."""
    grace_s: int = Field(default=120, ge=30, le=3600)
    """From SIGTERM to the kill: time to save a checkpoint and copy it to storage."""
    keep_finished_s: int = Field(default=604_800, ge=0, le=31_536_000)
    """How long a finished Job stays; its result and logs are in storage anyway."""


class KubernetesParams(PlacementParams):
    """``placement`` and the cluster itself, as the command line uses it."""

    namespace: LabelName | None = None
    """Null: that of the kubeconfig's context, or of the pod."""
    context: str | None = Field(default=None, max_length=253)
    """Of the kubeconfig; null: the current one."""
