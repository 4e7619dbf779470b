"""The gateway as a Ray Serve deployment: CPU only, one event loop, no Ray object in the path of a request."""

import os
from pathlib import Path
from typing import Any

from serin.clients.serving_state import FolderState
from serin.serve.gateway.app import Gateway
from serin.serve.gateway.settings import GatewaySettings
from serin.serve.local.settings import base_url, load_settings

_MAX_ONGOING = 4096


class GatewayReplica:
    """What Ray Serve builds in a replica's process; the ASGI application is made inside its event loop."""

    def __init__(self, run_folder: str) -> None:
        self.run_folder = run_folder

    async def __serve_build_asgi_app__(self) -> Gateway:
        settings = load_settings(Path(self.run_folder))
        state = FolderState(Path(settings.state))
        gateway = Gateway(
            GatewaySettings(
                base_url=base_url(settings.params),
                secret=settings.secret,
                signing_key=state.secret_path.read_bytes(),
                request_timeout_s=settings.params.request_timeout_s,
                canary_first_byte_timeout_s=settings.params.canary_first_byte_timeout_s,
            ),
            state,
            replica=f"gateway-{os.getpid()}",
        )
        await gateway.start()
        return gateway


def application(run_folder: str, request_timeout_s: float) -> Any:
    """The Serve application of the gateway."""
    from ray import serve

    deployment = serve.deployment(
        serve.ingress()(GatewayReplica),
        name="gateway",
        num_replicas=1,
        max_ongoing_requests=_MAX_ONGOING,
        ray_actor_options={"num_cpus": 0.1},
        graceful_shutdown_timeout_s=request_timeout_s,
    )
    return deployment.bind(run_folder)
