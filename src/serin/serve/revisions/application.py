"""A revision as a Ray Serve application: vLLM behind direct streaming, one model, one route."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serin.clients.serving_state import SCALE, declared_from
from serin.clients.serving_state.serve_config import scale_options
from serin.core.params import RevisionParams, ServeParams
from serin.core.revision import Revision
from serin.serve.drain import replica_s
from serin.serve.revisions.node_cache import MODELS_VARIABLE
from serin.serve.trace_endpoint import trace_endpoint

_HEALTH_PERIOD_S = 2.0
_START_TRIES = 2
_GPU_MEMORY = 0.9
"""The part of its GPUs' memory that a revision takes: vLLM's own default, of which a share of a GPU gets its share."""
PARAMS_VARIABLE = "SERIN_SERVE_PARAMS"
"""The section ``serve`` of params in JSON: what every revision of a Ray cluster has in common."""


def engine_arguments(
    params: ServeParams, revision: str, settings: RevisionParams, on_gpu: bool, traces: str | None = None
) -> dict[str, Any]:
    """What vLLM is told, beside the model and its name; ``traces`` is where its spans go."""
    arguments: dict[str, Any] = {
        **settings.vllm,
        "dtype": params.dtype,
        "max_model_len": params.max_model_len,
        "fingerprint_mode": "custom",
        "fingerprint_value": revision,
        # As training renders: vLLM would hand some templates a list of parts instead of the text.
        "chat_template_content_format": "string",
        "middleware": ["serin.serve.middleware.RequireSecret"],
    }
    if traces is not None:
        arguments["otlp_traces_endpoint"] = traces
    if not on_gpu:
        own = {"enforce_eager": True, "kv_cache_memory_bytes": int(params.kv_cache_gib * (1 << 30))}
        return own | arguments
    if settings.gpus > 1:
        arguments["tensor_parallel_size"] = int(settings.gpus)
    if settings.gpus < 1:
        arguments = {"gpu_memory_utilization": round(_GPU_MEMORY * settings.gpus, 3)} | arguments
    return arguments


def deployment_options(params: ServeParams, revision: str, settings: RevisionParams) -> dict[str, Any]:
    """How Ray Serve runs a revision's replicas (``ray.serve.schema.DeploymentSchema``)."""
    return {
        "name": Revision.parse(revision).label,
        "max_constructor_retry_count": _START_TRIES,
        "health_check_period_s": _HEALTH_PERIOD_S,
        "health_check_timeout_s": 30.0,
        "graceful_shutdown_timeout_s": replica_s(params.request_timeout_s),
        **scale_options(settings),
    }


def llm_config(
    params: ServeParams,
    revision: str,
    model: Path,
    settings: RevisionParams,
    on_gpu: bool,
    prefix: str | None = None,
    traces: str | None = None,
) -> dict[str, Any]:
    """The builder's view of one revision, as ``ray.serve.llm.LLMConfig`` takes it.

    Args:
        params: what all revisions have in common.
        revision: its whole name.
        model: the folder of its model on the node.
        settings: what it runs on.
        on_gpu: whether it runs on GPUs.
        prefix: where in storage a replica fetches the model from before it loads it; None: it is there already.
        traces: where its spans go; None: nowhere.
    """
    callback: dict[str, Any] = {"callback_class": "serin.serve.revisions.local_model.LocalModel"}
    one_process = prefix is None and not on_gpu
    if prefix is not None:
        callback["callback_kwargs"] = {"prefix": prefix}
    elif one_process:
        callback["callback_kwargs"] = {"one_process": True}
    config: dict[str, Any] = {
        "model_loading_config": {"model_id": revision, "model_source": str(model)},
        "engine_kwargs": engine_arguments(params, revision, settings, on_gpu, traces),
        "callback_config": callback,
        "log_engine_metrics": False,
        "deployment_config": deployment_options(params, revision, settings),
    }
    if not on_gpu:
        own = {"runtime_env": {"env_vars": _one_process()}} if one_process else {}
        return config | {"accelerator_config": {"kind": "cpu"}} | own
    if settings.accelerator_type is not None:
        config["accelerator_type"] = settings.accelerator_type
    if settings.gpus < 1:
        config["placement_group_config"] = {"bundle_per_worker": {"CPU": 1, "GPU": settings.gpus}}
    return config


def application(params: ServeParams, revision: str, model: Path, settings: RevisionParams, on_gpu: bool) -> Any:
    """The Serve application of one revision whose model lies on this machine. Needs a running Ray.

    Deployed again with another scale it keeps the replicas that run: Serve restarts those of another version, and gives an
    application that comes by ``serve.run`` a new one each time, unless its deployments name theirs.
    """
    built = _built(llm_config(params, revision, model, settings, on_gpu, traces=_traces()))
    others = settings.model_dump(mode="json", exclude=set(SCALE))
    version = hashlib.sha256(json.dumps([revision, str(model), others], sort_keys=True).encode()).hexdigest()
    for part in (built, built._ingress_request_router):
        if part is not None:
            part._bound_deployment._version = version
    return built


def build(arguments: Mapping[str, Any]) -> Any:
    """The Serve application of one revision of a cluster, named in its serveConfigV2; its replicas fetch the model.

    Args:
        arguments: the revision and its ``Declared``, as ``clients.serving_state`` writes them.
    """
    revision = str(arguments["revision"])
    declared = declared_from({key: value for key, value in arguments.items() if key != "revision"})
    params = ServeParams.model_validate_json(os.environ.get(PARAMS_VARIABLE) or "{}")
    folder = Path(os.environ[MODELS_VARIABLE]) / Revision.parse(revision).label
    settings = RevisionParams.model_validate(dict(declared.settings))
    return _built(llm_config(params, revision, folder, settings, settings.gpus > 0, declared.prefix, traces=_traces()))


def _one_process() -> dict[str, str]:
    """vLLM puts the process back that Ray asks for, unless told that there is none; and Ray lets an actor have one thread."""
    threads = os.environ.get("OMP_NUM_THREADS") or str(len(os.sched_getaffinity(0)))
    return {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "OMP_NUM_THREADS": threads}


def _traces() -> str | None:
    endpoint = trace_endpoint(os.environ)
    return None if endpoint is None else endpoint.url


def _built(config: dict[str, Any]) -> Any:
    from ray.serve.llm import LLMConfig, build_openai_app

    return build_openai_app({"llm_configs": [LLMConfig(**config)]})
