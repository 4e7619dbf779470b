"""A little real server that streams chat completions, as vLLM does, or breaks off."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Script = Sequence[str | dict[str, Any] | None]
"""Pieces of the answer; a mapping is sent as it is; None cuts the connection."""


class StreamServer:
    """``asked`` holds the bodies of the requests."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/v1"
        self.asked: list[dict[str, Any]] = []
        self.models: Sequence[str] = ("law-qa",)
        self.status = 200
        self.answer: Callable[[list[dict[str, str]]], Script] = lambda messages: ["You said: ", messages[-1]["content"]]
        self.release = threading.Event()
        """Where the answer has the piece ``wait``, it goes on once this is set."""


@contextmanager
def stream_server() -> Iterator[StreamServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            with suppress(ConnectionError):  # who asked may be gone
                super().handle()

        def do_GET(self) -> None:
            self._reply({"object": "list", "data": [{"id": name, "object": "model"} for name in server.models]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            server.asked.append(body)
            if server.status != 200:
                self._reply({"error": {"message": f"no: {self.headers['authorization']}"}})
                return
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            self._stream(server.answer(body["messages"]))

        def _stream(self, script: Script) -> None:
            for piece in script:
                if piece is None:
                    self.close_connection = True
                    return
                if piece == "wait":
                    server.release.wait(20)
                    continue
                self._send(piece if isinstance(piece, dict) else chunk({"content": piece}))
            if not (script and isinstance(script[-1], dict)):
                self._send(chunk({}, "stop"))
            self._write(b"data: [DONE]\n\n")
            self._write(b"")

        def _send(self, value: dict[str, Any]) -> None:
            self._write(f"data: {json.dumps(value)}\n\n".encode())

        def _write(self, data: bytes) -> None:
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()

        def _reply(self, value: Any) -> None:
            data = json.dumps(value).encode()
            self.send_response(server.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server = StreamServer(http.server_port)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.release.set()
        http.shutdown()
        http.server_close()
        thread.join()


def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    """One event of a stream."""
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "law-qa", "choices": [choice]}
