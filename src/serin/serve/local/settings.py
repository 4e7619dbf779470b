"""What the supervisor hands to the processes that it starts: settings in a 0600 file, flags in the environment."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from serin.clients.files import read_json, write_json
from serin.core.params import ServeParams, StorageParams
from serin.serve.drain import hard_stop_s
from serin.serve.local.processes import MARKER_VARIABLE
from serin.serve.middleware import SECRET_VARIABLE
from serin.serve.trace_endpoint import trace_endpoint

_FILE = "settings.json"
_PROXY_READY_S = 45
_PROXY_HEALTH_PERIOD_S = 0.5
"""Serve replaces a proxy after three checks that failed, which with its own 10 s leaves clients half a minute without HAProxy."""


@dataclass(frozen=True, slots=True)
class RunSettings:
    """One start. ``secret`` opens the revisions; it lives as long as the start does."""

    serve: dict[str, Any]
    state: str
    run_folder: str
    marker: str
    secret: str
    stats_port: int
    metrics_port: int
    fallback_port: int
    storage: dict[str, Any] = field(default_factory=dict)

    @property
    def params(self) -> ServeParams:
        """The section ``serve`` of params."""
        return ServeParams.model_validate(self.serve)

    @property
    def stored(self) -> StorageParams:
        """The section ``storage``; a folder in it is absolute."""
        return StorageParams.model_validate(self.storage)

    def save(self) -> None:
        """Write the file that the Ray process reads; nothing of it stands in a command line."""
        write_json(Path(self.run_folder) / _FILE, asdict(self), mode=0o600)


def load_settings(run_folder: Path) -> RunSettings:
    """Read what ``save`` wrote."""
    return RunSettings(**read_json(run_folder / _FILE))


def haproxy_program(settings: RunSettings) -> Path:
    """What Ray starts as HAProxy; see ``haproxy``."""
    return Path(settings.run_folder) / "haproxy-program"


def base_url(params: ServeParams) -> str:
    """Where processes on this machine reach HAProxy."""
    host = "127.0.0.1" if params.host in ("0.0.0.0", "") else params.host
    return f"http://{host}:{params.port}"


def environment(settings: RunSettings, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of the Ray process and, through it, of every process it starts.

    HAProxy's hard stop exceeds the longest request, so that a reload never cuts one. A client that neither sends nor takes
    anything for so long is let go, where Serve would hold its connection for an hour.
    """
    patience_s = str(hard_stop_s(settings.params.request_timeout_s))
    haproxy = Path(settings.run_folder) / "haproxy"
    traces = trace_endpoint(inherited)
    return {
        **inherited,
        **({} if traces is None else traces.variables()),
        MARKER_VARIABLE: settings.marker,
        SECRET_VARIABLE: settings.secret,
        "TMPDIR": str(Path(settings.run_folder) / "tmp"),
        "HF_HUB_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": ",".join(filter(None, [inherited.get("NO_PROXY"), "127.0.0.1", "localhost"])),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DEDUP_LOGS": "0",
        # Ray's own 15 is for batches: whatever else the machine does would come before every replica, and before HAProxy.
        "RAY_worker_niceness": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": settings.secret,
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on Linux too: Ray then listens on 127.0.0.1 instead of everywhere
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_LLM_ENABLE_DIRECT_STREAMING": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        # Serve looks at everything ten times a second otherwise, which takes a twelfth of a core for as long as anything runs.
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serin.serve.middleware.http_middlewares",
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(haproxy_program(settings)),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(settings.stats_port),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(settings.metrics_port),
        # Serve's own proxy, to which HAProxy turns while no replica of the gateway lives.
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(settings.fallback_port),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(haproxy / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(haproxy / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(haproxy / "metrics.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(haproxy),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(haproxy / "server-state"),
        # A machine that is busy elsewhere answers later than Serve's 5 s; a proxy that is ended for it comes up no sooner.
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": str(_PROXY_READY_S),
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": str(_PROXY_HEALTH_PERIOD_S),
        "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": patience_s,
        "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": patience_s,
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
    }
