"""What stands before a bare vLLM server so that it can be asked as behind HAProxy: ``/r/<label>`` is cut off its paths."""

from serin.serve.asgi import App, Receive, Scope, Send


class CutRoute:
    """ASGI middleware, named in vLLM's ``--middleware``."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path.startswith("/r/"):
            scope = {**scope, "path": "/" + path.split("/", 3)[3]}
        await self.app(scope, receive, send)
