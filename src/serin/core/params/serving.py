"""Section ``serve``: the gateway, and the revisions behind it."""

from typing import Literal

from pydantic import Field

from serin.core.params.section import Section


class ServeParams(Section):
    """``serin serve``: the gateway and the vLLM revisions behind it."""

    host: str = "127.0.0.1"
    """Address that the gateway listens on."""
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
    """A canary that sent nothing by then has failed, and stable answers."""
