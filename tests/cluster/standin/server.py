"""The API over HTTP on a free port of the loopback, with faults where a test wants them."""

import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from .api import Answer, Api, Route, refused
from .faults import REASONS, Fault, Faults
from .refusals import Refusal


class Server:
    """Listens from its making until ``close``. ``closing`` ends every stream."""

    def __init__(self, api: Api, faults: Faults, closing: threading.Event) -> None:
        self.closing = closing
        self._listener = _Listener(api, faults, self.closing)
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self._api = api
        self._faults = faults

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._listener.server_address[1]}"

    def close(self) -> None:
        """Stop, with every stream and every stalled request."""
        self.closing.set()
        self._faults.released.set()
        self._api.store.wake()
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join()
        end = time.monotonic() + 5.0
        while self._listener.busy and time.monotonic() < end:
            self._api.store.wake()
            time.sleep(0.01)


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, api: Api, faults: Faults, closing: threading.Event) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.api = api
        self.faults = faults
        self.closing = closing
        self.busy = 0
        self._count = threading.Lock()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self._count:
            self.busy += 1
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._count:
                self.busy -= 1

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that went away is no fault of the server; everything else is shown."""
        import sys

        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 1.0
    server: _Listener

    def handle(self) -> None:
        """One request after another; an idle connection is left once the server closes."""
        self.close_connection = False
        while not self.close_connection and not self.server.closing.is_set():
            if select.select([self.connection], [], [], 0.25)[0]:
                self.handle_one_request()

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the names that http.server asks for

    def log_message(self, *_: Any) -> None:
        """The log of calls is kept by ``Faults``."""

    def _serve(self) -> None:
        api, faults = self.server.api, self.server.faults
        self.connection.settimeout(30.0)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        address = urlsplit(self.path)
        token = self.headers.get("Authorization", "").partition(" ")[2]
        try:
            route = api.route(self.command, address.path, dict(parse_qsl(address.query, keep_blank_values=True)))
        except Refusal as refusal:
            number, _ = faults.enter(self.command.lower(), address.path, "", token)
            faults.answered(number, refusal.code)
            self._send(refused(refusal))
            return
        number, fault = faults.enter(route.verb, route.what, route.name, token)
        if fault and self._struck(fault, number):
            return
        answer = self._answered(route, token, body)
        faults.answered(number, answer.code)
        if fault and fault.sort == "reset_after":
            self._reset()
        elif fault and fault.sort == "stall_after":
            self._stall()
        else:
            self._send(answer, fault)

    def _answered(self, route: Route, token: str, body: bytes) -> Answer:
        try:
            self.server.api.check(route, token)
            return self.server.api.answer(route, self.headers, body, self._over)
        except Refusal as refusal:
            return refused(refusal)

    def _struck(self, fault: Fault, number: int) -> bool:
        """Whether a fault befalls the request before it is looked at."""
        if fault.sort == "answer":
            self.server.faults.answered(number, fault.code)
            reason = REASONS.get(fault.code, "InternalError")
            self._send(refused(Refusal(fault.code, reason, f"{reason} on purpose", fault.headers)))
            return True
        if fault.sort == "reset_before":
            self._reset()
            return True
        if fault.sort == "stall":
            self._stall()
            return True
        if fault.sort == "forget":
            self.server.api.store.forget()
        if fault.sort == "late":
            while not fault.let_go.wait(0.1) and not self.server.closing.is_set():
                pass
        return False

    def _send(self, answer: Answer, fault: Fault | None = None) -> None:
        self.send_response(answer.code)
        self.send_header("Content-Type", answer.content_type)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if isinstance(answer.body, bytes):
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)
            self.wfile.flush()
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        self._pour(answer.body, fault)

    def _pour(self, pieces: Iterator[bytes], fault: Fault | None) -> None:
        """A stream, chunk by chunk."""
        if not (fault and fault.sort == "end_watch"):
            for piece in pieces:
                if fault and fault.sort == "slow_watch":
                    self.server.closing.wait(fault.delay_s)
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()
        self.close_connection = True

    def _over(self) -> bool:
        """Whether nobody listens any more: the server closes, or the caller hung up."""
        if self.server.closing.is_set():
            return True
        readable = select.select([self.connection], [], [], 0)[0]
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)

    def _stall(self) -> None:
        while not self.server.faults.released.wait(0.1) and not self._over():
            pass
        self.close_connection = True

    def _reset(self) -> None:
        """End the connection with RST instead of an answer."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
