"""Section ``kubernetes``: where the stages run when ``executor`` is ``kubernetes``; no tracked params."""

from typing import Literal

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from serin.core.params.section import Section


class CamelSection(Section):
    """A section whose fields read as Kubernetes' own in a manifest (``nodeSelector``), and as Serin's in params.yaml."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, validate_by_alias=True)


class Toleration(CamelSection):
    """A taint that pods may be scheduled in spite of; as in a pod's spec."""

    key: str | None = Field(default=None, max_length=316)
    """The taint's key; null: every key."""
    operator: Literal["Exists", "Equal"] = "Equal"
    """How ``value`` is compared."""
    value: str | None = Field(default=None, max_length=63)
    """The taint's value."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Which effect; null: all."""


class ResourceParams(CamelSection):
    """What one pod of a stage gets."""

    cpu: str = Field(default="4", pattern=r"^[0-9]+(\.[0-9]+)?m?$", max_length=16)
    """CPU cores that are requested."""
    memory: str = Field(default="32Gi", pattern=r"^[0-9]+(Ki|Mi|Gi|Ti)$", max_length=16)
    """Memory, requested and limit; ``shared_memory`` counts towards it."""
    shared_memory: str = Field(default="2Gi", pattern=r"^[0-9]+(Ki|Mi|Gi|Ti)$", max_length=16)
    """Size of /dev/shm, which NCCL and data loaders use."""
    scratch: str = Field(default="50Gi", pattern=r"^[0-9]+(Ki|Mi|Gi|Ti)$", max_length=16)
    """Disk for the base model, data and outputs."""
    gpus: int = Field(default=1, ge=0, le=16)
    """GPUs of each pod; 0: none."""
    gpu_resource: str = Field(default="nvidia.com/gpu", pattern=r"^[a-z0-9.-]+/[a-zA-Z0-9._-]+$", max_length=63)
    """The extended resource's name, such as ``amd.com/gpu`` or a slice of a GPU."""


class PlacementParams(CamelSection):
    """Where the pods run and for how long."""

    image: str = Field(min_length=1, max_length=512)
    """The train image, best with its digest."""
    image_pull_secrets: list[str] = Field(default=[], max_length=8)
    """Names of secrets for its registry."""
    queue: str | None = Field(default=None, max_length=253)
    """Kueue's LocalQueue; null: Kubernetes schedules at once."""
    priority_class: str | None = Field(default=None, max_length=253)
    """The pods' PriorityClass."""
    service_account: str = Field(default="serin-run", max_length=253)
    """Gives the pods their identity towards S3; its API token is never mounted."""
    secrets: list[str] = Field(default=[], max_length=8)
    """Names of secrets whose entries become environment variables, such as AWS_ACCESS_KEY_ID or HF_TOKEN."""
    node_selector: dict[str, str] = Field(default={}, max_length=16)
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

    namespace: str | None = Field(default=None, max_length=63)
    """Null: that of the kubeconfig's context, or of the pod."""
    context: str | None = Field(default=None, max_length=253)
    """Of the kubeconfig; null: the current one."""
