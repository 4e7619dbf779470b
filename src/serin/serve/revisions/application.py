"""A revision as a Ray Serve application: vLLM behind direct streaming, one model, one route."""

from pathlib import Path
from typing import Any

from serin.core.params import ServeParams
from serin.core.revision import Revision

_HEALTH_PERIOD_S = 2.0
_START_TRIES = 2


def route_of(revision: str) -> str:
    """The route prefix under which a revision answers the gateway."""
    return f"/r/{Revision.parse(revision).label}"


def engine_arguments(params: ServeParams, revision: str, on_gpu: bool) -> dict[str, Any]:
    """What vLLM is told, beside the model and its name."""
    arguments: dict[str, Any] = {
        "dtype": params.dtype,
        "max_model_len": params.max_model_len,
        "fingerprint_mode": "custom",
        "fingerprint_value": revision,
        # As training renders: vLLM would hand some templates a list of parts instead of the text.
        "chat_template_content_format": "string",
        "middleware": ["serin.serve.middleware.RequireSecret"],
    }
    if not on_gpu:
        arguments |= {"enforce_eager": True, "kv_cache_memory_bytes": int(params.kv_cache_gib * (1 << 30))}
    return arguments


def llm_config(params: ServeParams, revision: str, model: Path, on_gpu: bool) -> dict[str, Any]:
    """The builder's view of one revision, as ``ray.serve.llm.LLMConfig`` takes it."""
    return {
        "model_loading_config": {"model_id": revision, "model_source": str(model)},
        "engine_kwargs": engine_arguments(params, revision, on_gpu),
        "accelerator_config": None if on_gpu else {"kind": "cpu"},
        "callback_config": {"callback_class": "serin.serve.revisions.local_model.LocalModel"},
        "log_engine_metrics": False,
        "deployment_config": {
            "name": Revision.parse(revision).label,
            "num_replicas": 1,
            "max_constructor_retry_count": _START_TRIES,
            "health_check_period_s": _HEALTH_PERIOD_S,
            "health_check_timeout_s": 30.0,
            "graceful_shutdown_timeout_s": params.request_timeout_s,
        },
    }


def application(params: ServeParams, revision: str, model: Path, on_gpu: bool) -> Any:
    """The Serve application of one revision. Needs a running Ray."""
    from ray.serve.llm import LLMConfig, build_openai_app

    config = {k: v for k, v in llm_config(params, revision, model, on_gpu).items() if v is not None}
    return build_openai_app({"llm_configs": [LLMConfig(**config)]})
