"""An S3 server behind a line that does to requests and answers what lines and busy servers do.

It also does what S3 does and moto leaves out: it compares what arrives with its checksums, and lets one conditional write
happen at a time.
"""

import base64
import hashlib
import http.client
import re
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import urlsplit

Kind = Literal[
    "error",  # an error instead of an answer; nothing was done
    "lost",  # done, but the connection is reset before the answer
    "reset",  # reset in the middle of the answer's body
    "cut",  # closed in the middle of the answer's body
    "flip",  # a byte of the answer's body is another one; the headers are whole
    "stall",  # nothing comes any more in the middle of the answer's body
    "flip up",  # a byte of the request's body is another one
    "reset up",  # reset in the middle of the request's body
    "hold",  # the request waits before anything is done
]


@dataclass
class Fault:
    """Happens ``times`` times to requests whose ``METHOD /path?query`` the expression ``on`` finds, after the first ``after``."""

    kind: Kind
    on: str
    times: int = 1
    after: int = 0
    status: int = 500
    code: str = "InternalError"
    seen: int = 0
    held: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Request:
    """What arrived at the line, and the status of the answer; 0 where there was none."""

    line: str
    status: int


class FaultyS3:
    """The line to the server at ``endpoint_url``; ``faults`` may change at any time, ``requests`` tells what came."""

    def __init__(self, endpoint_url: str) -> None:
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.hides_checksums = False  # as servers do that know none
        self.changing = threading.Lock()
        self.one_at_a_time = threading.Lock()
        self.released = threading.Event()
        self.upstream = urlsplit(endpoint_url).netloc
        line = self

        class Handler(_Handler):
            faulty = line

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Let go of what is held, and stop."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def next_fault(self, line: str) -> Fault | None:
        """The fault that happens to this request."""
        with self.changing:
            for fault in self.faults:
                if re.search(fault.on, line):
                    fault.seen += 1
                    if fault.after < fault.seen <= fault.after + fault.times:
                        return fault
        return None

    def lines(self, pattern: str) -> list[str]:
        """The requests that were answered well and that ``pattern`` finds, in order."""
        return [r.line for r in self.requests if 200 <= r.status < 300 and re.search(pattern, r.line)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    faulty: FaultyS3

    def answer(self) -> None:
        fault = self.faulty.next_fault(f"{self.command} {self.path}")
        kind = fault.kind if fault else None
        size = int(self.headers.get("content-length", 0))
        if kind == "reset up":
            self.rfile.read(size // 2)
            return self._reset()
        body = self.rfile.read(size)
        if kind == "hold" and fault:
            fault.held.set()
            self.faulty.released.wait()
            return self._reset()
        if kind == "error" and fault:
            return self._refuse(fault.status, fault.code)
        if kind == "flip up":
            body = _flipped(body)
        if wrong := _mismatch(body, self.headers):
            return self._refuse(400, wrong)
        conditional = self.command in ("PUT", "POST") and {"if-match", "if-none-match"} & {
            k.lower() for k in self.headers
        }
        with self.faulty.one_at_a_time if conditional else nullcontext():
            status, headers, data = self._forward(body)
        if kind == "lost":
            return self._reset()
        self._note(status)
        self.send_response(status)
        for name, value in headers:
            if name.lower() in ("transfer-encoding", "connection", "content-length", "date", "server"):
                continue
            if not (self.faulty.hides_checksums and name.lower().startswith("x-amz-checksum")):
                self.send_header(name, value)
        length = dict(headers).get("Content-Length") or dict(headers).get("content-length") or str(len(data))
        self.send_header("content-length", length if self.command == "HEAD" else str(len(data)))
        self.end_headers()
        if self.command == "HEAD":
            return None
        if kind in ("reset", "cut", "stall"):
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            if kind == "stall" and fault:
                fault.held.set()
                self.faulty.released.wait()
            self.close_connection = True
            return self._reset() if kind == "reset" else None
        self.wfile.write(_flipped(data) if kind == "flip" else data)
        return None

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer  # noqa: N815 - named by http.server

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        server = http.client.HTTPConnection(self.faulty.upstream)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("expect", "connection")}
        server.request(self.command, self.path, body, headers)
        answer = server.getresponse()
        data = answer.read()
        server.close()
        return answer.status, answer.getheaders(), data

    def _refuse(self, status: int, code: str) -> None:
        self._note(status)
        data = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
        self.send_response(status)
        self.send_header("content-type", "application/xml")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _reset(self) -> None:
        self._note(0)
        self.close_connection = True
        # Closing with a linger of no time sends RST.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _note(self, status: int) -> None:
        with self.faulty.changing:
            self.faulty.requests.append(Request(f"{self.command} {self.path}", status))

    def finish(self) -> None:
        try:
            super().finish()
        except (OSError, ValueError):  # the client or a fault was faster
            self.close_connection = True

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (OSError, ValueError):
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :] if data else data


def _mismatch(body: bytes, headers: Any) -> str | None:
    """The code with which S3 refuses a body that is not what its checksums say."""
    signed = headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
    if re.fullmatch("[0-9a-f]{64}", signed) and signed != hashlib.sha256(body).hexdigest():
        return "XAmzContentSHA256Mismatch"
    checksum = headers.get("x-amz-checksum-sha256")
    if checksum and checksum != base64.b64encode(hashlib.sha256(body).digest()).decode():
        return "BadDigest"
    checksum = headers.get("x-amz-checksum-crc32")
    if checksum and checksum != base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode():
        return "BadDigest"
    return None


@contextmanager
def faulty_s3(endpoint_url: str) -> Iterator[FaultyS3]:
    """A line to a server, for the length of a block."""
    line = FaultyS3(endpoint_url)
    try:
        yield line
    finally:
        line.close()
