"""Section ``serve``: the gateway, and the revisions behind it."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from serin.core.params.access import AccessParams, is_loopback
from serin.core.params.cluster import ObjectName
from serin.core.params.gateway import GatewayParams
from serin.core.params.section import Section
from serin.core.params.telemetry import CaptureParams, TelemetryParams

SET_BY_SERIN = frozenset(
    {
        "chat_template_content_format",
        "dtype",
        "fingerprint_mode",
        "fingerprint_value",
        "max_model_len",
        "middleware",
        "model",
        "served_model_name",
        "tensor_parallel_size",
    }
)
"""Arguments of vLLM that other params or the revision itself decide."""


class AutoscalingParams(Section):
    """Replicas that come and go with the load (docs.ray.io, Serve: autoscaling)."""

    min_replicas: int = Field(default=1, ge=1)
    """So many run without any load."""
    max_replicas: int = Field(ge=1)
    """So many run at most."""
    target_ongoing: float = Field(default=16, gt=0)
    """Requests at a time that one replica is meant to answer; more bring another one."""

    @model_validator(mode="after")
    def _has_a_span(self) -> Self:
        if self.max_replicas < self.min_replicas:
            raise ValueError(f"max_replicas must be at least min_replicas = {self.min_replicas}")
        return self


class RevisionParams(Section):
    """What a revision runs on; ``serin deploy --set replicas=2`` says it for one of them."""

    replicas: int = Field(default=1, ge=1)
    """Copies of the model; each has GPUs of its own."""
    autoscaling: AutoscalingParams | None = None
    """Instead of a fixed number of ``replicas``."""
    gpus: float = Field(default=1, ge=0)
    """GPUs of one replica: a whole number, over which vLLM shards the model, a share of one, or 0 for the CPU. A machine without
    GPUs takes the CPU whatever stands here."""
    accelerator_type: str | None = None
    """The only kind of GPU that will do, by Ray's name, such as ``A100`` or ``L4``."""
    vllm: dict[str, Any] = Field(default={})
    """Further arguments of vLLM by their names in Python, such as ``max_num_seqs``."""

    @model_validator(mode="after")
    def _leaves_serin_its_own(self) -> Self:
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise ValueError(f"gpus = {self.gpus:g}: must be a whole number above 1")
        if taken := sorted(self.vllm.keys() & SET_BY_SERIN):
            raise ValueError(
                f"vllm must not hold {', '.join(taken)}: Serin sets them (serve.dtype, serve.max_model_len, gpus)"
            )
        return self


class ServeParams(Section):
    """``serin serve``: the gateway and the vLLM revisions behind it."""

    executor: Literal["local", "kubernetes"] = "local"
    """Where revisions are deployed: on this machine (``serin serve``), or in a RayService of the cluster."""
    rayservice: ObjectName = Field(default="serin-serve", max_length=47)
    """Name of that RayService; the ConfigMaps of its gateways are called after it."""
    host: str = "127.0.0.1"
    """Address that the gateway listens on; one that others reach takes ``access.keys``."""
    port: int = Field(default=8000, ge=1, le=65535)
    """Port of the OpenAI-compatible gateway."""
    max_model_len: int = Field(default=512, ge=64)
    """Longest prompt + answer of a revision, in tokens."""
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    """Number format in which vLLM computes."""
    kv_cache_gib: float = Field(default=1.0, gt=0)
    """KV cache of one revision on a CPU, GiB; on a GPU vLLM's own default holds."""
    start_timeout_s: float = Field(default=300.0, gt=0)
    """How long a revision may take to become ready."""
    request_timeout_s: float = Field(default=60.0, gt=0)
    """Longest request, from its first byte to the last byte of the answer."""
    canary_first_byte_timeout_s: float = Field(default=10.0, gt=0)
    """A canary whose stream has not begun by then, or after half of the request's time, has failed, and stable answers."""
    access: AccessParams = AccessParams()
    gateway: GatewayParams = GatewayParams()
    telemetry: TelemetryParams = TelemetryParams()
    capture: CaptureParams = CaptureParams()
    revisions: RevisionParams = RevisionParams()
    """What each revision runs on, unless its deploy says otherwise."""

    @model_validator(mode="after")
    def _asks_for_keys(self) -> Self:
        if not (is_loopback(self.host) or self.access.keys or self.access.open):
            raise ValueError(
                f"host = {self.host}: others reach it, so access.keys must name a file of keys ('serin keys create'); "
                "or access.open must say that everybody may ask"
            )
        return self
