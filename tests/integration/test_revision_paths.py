"""Every path of vLLM's own server refuses whoever does not know the secret, path by path, as Ray builds that server."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(560)

ROOT = Path(__file__).parents[2]
ASKING = textwrap.dedent(
    """
    import asyncio, json, warnings
    from typing import get_args

    warnings.simplefilter("ignore")
    from vllm.entrypoints.openai.api_server import build_app
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.tasks import SupportedTask
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
    TASKS = tuple(task for group in get_args(SupportedTask) for task in (get_args(group) or (group,)))
    UNLISTED = ["/", "/docs", "/redoc", "/openapi.json", "/metrics", "/metrics/"]
    UNLISTED += ["/ping", "/invocations", "/nothing", "//v1/models"]


    async def ask(app, kind, path, method, headers):
        came = []

        async def send(message):
            came.append(message)

        async def receive():
            return {"type": "websocket.connect"} if kind == "websocket" else {"type": "http.request", "body": b"{}"}

        scope = {
            "type": kind, "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": headers,
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "extensions": {"websocket.http.response": {}},
        }
        if kind == "websocket":
            scope |= {"scheme": "ws", "subprotocols": []}
            del scope["method"]
        await app(scope, receive, send)
        return came[0].get("status", came[0]["type"])


    async def main():
        parser = make_arg_parser(FlexibleArgumentParser())
        arguments = parser.parse_args(["--middleware", "serin.serve.middleware.RequireSecret"])
        app = build_app(arguments, supported_tasks=TASKS)
        preflight = [(b"origin", b"http://a"), (b"access-control-request-method", b"POST")]
        told = []
        paths = sorted({route.path for route in flat(app)} | set(UNLISTED))
        for path in paths:
            for method in METHODS:
                for headers in ([], [(b"x-serin-secret", b"guess")], [(b"authorization", b"Bearer s")], preflight):
                    told.append((path, method, await ask(app, "http", path, method, headers)))
            told.append((path, "websocket", await ask(app, "websocket", path, None, [])))
        right = [(b"x-serin-secret", b"s")]
        print(json.dumps({"told": told, "known": await ask(app, "http", "/openapi.json", "GET", right)}))


    def flat(app):
        for route in app.routes:
            if hasattr(route, "path"):
                yield route
            for inner in getattr(getattr(route, "original_router", None), "routes", []):
                if hasattr(inner, "path"):
                    yield inner


    asyncio.run(main())
    """
)


def test_every_path_answers_401_without_the_secret() -> None:
    environment = {**os.environ, "SERIN_SERVE_SECRET": "s", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", ASKING],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    paths = {path for path, _, _ in said["told"]}
    assert {"/v1/chat/completions", "/tokenize", "/health", "/metrics", "/v1/realtime"} <= paths
    assert len(paths) > 30
    assert {(path, method, answer) for path, method, answer in said["told"] if answer != 401} == set()
    assert said["known"] == 200
