"""The gateway as a Ray Serve deployment: CPU only, one event loop, no Ray object in the path of a request."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serin.clients.serving_state import FolderState
from serin.core.errors import ConfigError
from serin.core.params import ServeParams, StorageParams
from serin.serve.asgi import App
from serin.serve.drain import replica_s
from serin.serve.gateway.access.ledger_over_ray import LedgerOverRay, ledger_application
from serin.serve.gateway.assembly import Place, assemble
from serin.serve.gateway.settings import GatewaySettings
from serin.serve.gateway.telemetry.exposition import FOLDER_VARIABLE
from serin.serve.local.settings import base_url, load_settings
from serin.serve.middleware import SECRET_VARIABLE
from serin.serve.revisions.application import PARAMS_VARIABLE
from serin.serve.revisions.node_cache import ENDPOINT_VARIABLE, STORAGE_VARIABLE

_MAX_ONGOING = 4096
_HEALTH_PERIOD_S = 1.0
"""How late it is noticed that a replica died; after Serve's own 10 s the next one would only begin to start."""
SIGNING_KEY_VARIABLE = "SERIN_SIGNING_KEY"
"""Signs request ids; the same for all replicas, and for as long as feedback shall be taken."""
SIGNING_KEY_BEFORE_VARIABLE = "SERIN_SIGNING_KEY_BEFORE"
"""The one that signed before it, if any: feedback for answers of that time is taken as long as it is there."""
EVIDENCE_VARIABLE = "SERIN_EVIDENCE"
"""The folder of this pod to which outcomes and feedback are appended."""
GATEWAY_RESOURCE = "serin_gateway"
"""Ray's name for the place of one gateway replica on a node of a cluster."""
_LEAST_KEY_CHARACTERS = 32
_METRICS_FOLDER = "/tmp/serin-metrics"


class GatewayReplica:
    """What Ray Serve builds in a replica's process on one machine; its ASGI application is made inside its event loop."""

    def __init__(self, run_folder: str) -> None:
        self.run_folder = run_folder

    async def __serve_build_asgi_app__(self) -> App:
        settings = load_settings(Path(self.run_folder))
        state = FolderState(Path(settings.state))
        told = gateway_settings(settings.params, settings.secret, signing_keys_of(state.secret_path))
        place = Place("127.0.0.1", state.folder, settings.stored)
        return await assemble(settings.params, told, state, f"gateway-{os.getpid()}", place, os.environ)


class ClusterGatewayReplica:
    """The same in a pod: everything comes from its environment, and the state from the API server.

    ``ledger`` is the handle of the deployment that all replicas share.
    """

    def __init__(self, ledger: Any) -> None:
        self.ledger = LedgerOverRay(ledger)

    async def __serve_build_asgi_app__(self) -> App:
        from serin.clients.kubernetes import open_cluster
        from serin.clients.serving_state.cluster import ClusterState

        params, settings = settings_from(os.environ)
        cluster = open_cluster(None, None, os.environ)
        evidence = Path(os.environ[EVIDENCE_VARIABLE])
        state = ClusterState(cluster, params.rayservice, evidence)
        replica = f"{socket.gethostname()}-{os.getpid()}"
        # Prometheus comes from another pod; the network policy says from which.
        place = Place("0.0.0.0", evidence / "telemetry", _stored(os.environ), ships_evidence=True)
        return await assemble(params, settings, state, replica, place, os.environ, self.ledger)


def gateway_settings(params: ServeParams, secret: str, signing_keys: tuple[bytes, ...]) -> GatewaySettings:
    """What params say of a gateway that reaches HAProxy on its own machine."""
    return GatewaySettings(
        base_url=base_url(params),
        secret=secret,
        signing_keys=signing_keys,
        request_timeout_s=params.request_timeout_s,
        canary_first_byte_timeout_s=params.canary_first_byte_timeout_s,
        relay=params.gateway,
        access=params.access,
        max_model_len=params.max_model_len,
    )


def settings_from(environment: Mapping[str, str]) -> tuple[ServeParams, GatewaySettings]:
    """The section ``serve`` and the settings of a gateway in a pod. Raises ConfigError where a secret is missing or short."""
    for name in (SECRET_VARIABLE, SIGNING_KEY_VARIABLE):
        if len(environment.get(name, "")) < _LEAST_KEY_CHARACTERS:
            raise ConfigError(
                f"{name} has fewer than {_LEAST_KEY_CHARACTERS} characters: make the Secret serin-serve as k8s/README.md says"
            )
    params = ServeParams.model_validate_json(environment.get(PARAMS_VARIABLE) or "{}")
    if params.access.keys is None and not params.access.open:
        raise ConfigError(
            "others reach a gateway in a cluster: serve.access.keys in the ConfigMap serin-serve-params must name the mounted "
            "file of keys, as k8s/README.md says, or serve.access.open that everybody may ask"
        )
    keys = [environment.get(name, "").encode() for name in (SIGNING_KEY_VARIABLE, SIGNING_KEY_BEFORE_VARIABLE)]
    return params, gateway_settings(params, environment[SECRET_VARIABLE], tuple(key for key in keys if key))


def signing_keys_of(path: Path) -> tuple[bytes, ...]:
    """The key in the file and the one before it, where ``<file>.before`` holds one."""
    before = path.with_name(f"{path.name}.before")
    return (path.read_bytes(), before.read_bytes()) if before.exists() else (path.read_bytes(),)


def _stored(environment: Mapping[str, str]) -> StorageParams | None:
    """The storage that a pod's environment names, if it names one."""
    if not environment.get(STORAGE_VARIABLE):
        return None
    return StorageParams(url=environment[STORAGE_VARIABLE], endpoint_url=environment.get(ENDPOINT_VARIABLE) or None)


def application(run_folder: str, request_timeout_s: float) -> Any:
    """The Serve application of the gateway on one machine."""
    options = {"num_cpus": 0.1, "runtime_env": counted_in(f"{run_folder}/metrics")}
    return _deployment(GatewayReplica, 1, request_timeout_s, options).bind(run_folder)


def cluster_application(replicas: int) -> dict[str, Any]:
    """The gateway as ``ray.serve.schema.ServeApplicationSchema`` has it: what k8s/serving starts with."""
    return {
        "name": "gateway",
        "route_prefix": "/",
        "import_path": f"{__name__}:build",
        "args": {"replicas": replicas},
    }


def build(arguments: Mapping[str, Any]) -> Any:
    """The Serve application of the gateway of a cluster, named in its serveConfigV2.

    Args:
        arguments: ``replicas``, each on a node of its own that has the resource ``serin_gateway``.
    """
    params = ServeParams.model_validate_json(os.environ.get(PARAMS_VARIABLE) or "{}")
    options = {"num_cpus": 1, "resources": {GATEWAY_RESOURCE: 1}, "runtime_env": counted_in(_METRICS_FOLDER)}
    deployment = _deployment(ClusterGatewayReplica, int(arguments["replicas"]), params.request_timeout_s, options)
    return deployment.bind(ledger_application())


def counted_in(folder: str) -> dict[str, Any]:
    """The ``runtime_env`` of replicas that count into one folder of their node. vLLM would count there too if all had it."""
    return {"env_vars": {FOLDER_VARIABLE: folder}}


def _deployment(
    replica: type[Any], replicas: int, request_timeout_s: float, ray_actor_options: Mapping[str, Any]
) -> Any:
    from ray import serve

    return serve.deployment(
        serve.ingress()(replica),
        name="gateway",
        num_replicas=replicas,
        max_ongoing_requests=_MAX_ONGOING,
        ray_actor_options=dict(ray_actor_options),
        graceful_shutdown_timeout_s=replica_s(request_timeout_s),
        health_check_period_s=_HEALTH_PERIOD_S,
    )
