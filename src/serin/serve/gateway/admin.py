"""``/admin/v1``: what an operator may see of one gateway replica, and take it out of the traffic. Keys of scope admin only.

Where the gateway asks for no key, they answer only as long as nobody but this machine reaches it (``serve.access``): whoever
runs programs here may do more than this already.
"""

from serin.serve.asgi import Receive, Scope, Send
from serin.serve.gateway.access.control import AccessControl
from serin.serve.gateway.http import send_json
from serin.serve.gateway.relay import Relay
from serin.serve.gateway.watch import StateWatcher


class Admin:
    """Tells of the replica that was asked; ``replica`` names it, since any of them may answer."""

    def __init__(self, replica: str, watcher: StateWatcher, relay: Relay, access: AccessControl) -> None:
        self.replica = replica
        self.watcher = watcher
        self.relay = relay
        self.access = access

    async def state(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - a handler's shape
        """``GET /admin/v1/state``."""
        weights = self.watcher.weights
        value = {
            "replica": self.replica,
            "replicas_with_limits": self.access.limiter.replicas,
            "weights": {
                "version": weights.version,
                "stable": weights.stable,
                "canary": weights.canary,
                "canary_weight": weights.canary_weight,
                "rollout": weights.rollout,
                "experiment": weights.experiment,
                "variants": dict(weights.variants),
                "shadow": weights.shadow,
                "shadow_share": weights.shadow_share,
                "retiring": sorted(weights.retiring),
            },
            "running": sorted(self.watcher.running),
            "in_flight": self.relay.admission.under_way,
            "in_flight_by_revision": dict(self.relay.admission.by_revision),
            "draining": self.relay.draining,
            "keys": self.access.keys_in_force() if self.access.ring is not None else None,
        }
        await send_json(send, 200, value)

    async def drain(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - a handler's shape
        """``POST /admin/v1/drain``: refuse new requests with 503, and let those under way end."""
        self.relay.draining = True
        await self._said(send)

    async def resume(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - a handler's shape
        """``POST /admin/v1/resume``: take requests again."""
        self.relay.draining = False
        await self._said(send)

    async def _said(self, send: Send) -> None:
        value = {"replica": self.replica, "draining": self.relay.draining, "in_flight": self.relay.admission.under_way}
        await send_json(send, 200, value)
