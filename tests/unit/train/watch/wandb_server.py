"""As much of a W&B server as a run talks to, over real HTTP: it keeps one run's rows, summary and endings."""

import gzip
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PROJECT = {"id": "p", "name": "serin", "entity": {"id": "e", "name": "team"}}


class WandbServer:
    """``rows`` is the history that a chart shows; ``exits`` the exit code of each attempt that ended."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.config = "{}"
        self.summary = "{}"
        self.lines: list[str] = []
        self.exits: list[int] = []
        self.preempting = False
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]

    def stream(self, body: dict[str, Any]) -> dict[str, Any]:
        """What a run sends of itself as it goes."""
        files = body.get("files") or {}
        if history := files.get("wandb-history.jsonl"):
            self.lines[history["offset"] :] = history["content"]
        if summary := files.get("wandb-summary.json"):
            self.summary = summary["content"][-1]
        self.preempting |= bool(body.get("preempting"))
        if body.get("complete"):
            self.exits.append(body["exitcode"])
        return {}

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """GraphQL, as far as it is asked for; what else is asked is not known here."""
        operation = re.search(r"(?:query|mutation) (\w+)", query)
        match operation and operation.group(1):
            case "UpsertBucket":
                is_new, self.name = self.name is None, variables.get("name") or self.name
                self.config = variables.get("config") or self.config
                return {"upsertBucket": {"bucket": {**self.run(), "project": PROJECT}, "inserted": is_new}}
            case "RunResumeStatus":
                return {"model": {**PROJECT, "bucket": self.run() if self.name else None}}
            case "CreateRunFiles":
                files = [{"name": name, "uploadUrl": f"{self.url}/{name}"} for name in variables["files"]]
                return {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": files}}
            case _:
                return {}

    def run(self) -> dict[str, Any]:
        return {
            "id": "b",
            "name": self.name,
            "displayName": "a run",
            "config": self.config,
            "summaryMetrics": self.summary,
            "historyLineCount": len(self.lines),
            "historyTail": json.dumps(self.lines[-1:]),
            "logLineCount": 0,
            "eventsLineCount": 0,
            "eventsTail": "[]",
            "tags": [],
            "notes": "",
            "wandbConfig": '{"t": 1}',
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.reply({})

            def do_PUT(self) -> None:
                self.body()
                self.reply({})

            def do_POST(self) -> None:
                body = json.loads(self.body() or b"{}")
                if self.path.endswith("/file_stream"):
                    self.reply(server.stream(body))
                else:
                    self.reply({"data": server.answer(body.get("query", ""), body.get("variables") or {})})

            def body(self) -> bytes:
                data = self.rfile.read(int(self.headers.get("content-length") or 0))
                return gzip.decompress(data) if self.headers.get("content-encoding") == "gzip" else data

            def reply(self, value: dict[str, Any]) -> None:
                data = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


@contextmanager
def wandb_server() -> Iterator[WandbServer]:
    """Serve on a free port of the loopback for the length of a block."""
    server = WandbServer()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()
        thread.join()
