"""What can be asked for, and whether the gateway runs."""

from collections.abc import Sequence

from serin.serve.asgi import Receive, Scope, Send
from serin.serve.gateway.choice import PRODUCTION
from serin.serve.gateway.http import send_error, send_json
from serin.serve.gateway.watch import StateWatcher


class Models:
    """Answers from what the replica knows of the state, without asking anybody."""

    def __init__(self, watcher: StateWatcher) -> None:
        self.watcher = watcher

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - a handler's shape
        """``GET /v1/models``: names that the split answers to, then revisions."""
        data = [_model(name) for name in self._names()]
        await send_json(send, 200, {"object": "list", "data": data})

    async def one(self, send: Send, name: str) -> None:
        """``GET /v1/models/<name>``."""
        if name in self._names():
            await send_json(send, 200, _model(name))
        else:
            message = f"model {name!r} does not run here; these do: {', '.join(self._names())}"
            await send_error(send, 404, message, "model_not_found")

    def _names(self) -> Sequence[str]:
        served = self.watcher.weights.revisions()
        names = sorted({r.partition("@")[0] for r in served}) or [PRODUCTION]
        return [*names, *sorted(self.watcher.running | served)]

    async def health(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - a handler's shape
        """``GET /healthz``."""
        weights = self.watcher.weights
        value = {
            "status": "ok",
            "stable": weights.stable,
            "canary": weights.canary,
            "canary_weight": weights.canary_weight,
            "weights_version": weights.version,
            "running": sorted(self.watcher.running),
        }
        await send_json(send, 200, value)


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "serin"}
