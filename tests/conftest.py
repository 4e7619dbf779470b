"""A tiny real model that tests train, merge, evaluate and serve, and a little real server of chat completions."""

import gc
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import gto.log  # noqa: F401 - sets logging up when it is imported, which closes the streams of handlers that others made before
import hypothesis
import pytest

# An example takes as long as other workers let it.
hypothesis.settings.register_profile("beside others", deadline=None)
hypothesis.settings.load_profile("beside others")


def pytest_collection_finish() -> None:
    """Keep the garbage collector away from what was imported: it took a fifth of the workers' CPU time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """How ``--numprocesses`` divides the tests."""
    from .workers import FilesTogether

    config.option.loadscopereorder = False
    return FilesTogether(config, log)


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """A shell starts background jobs with SIGINT ignored, and their children inherit that: tests send it on purpose."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _runs_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Checkpoints stay out of the user's cache."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SERIN_RUNS", str(tmp_path_factory.mktemp("runs")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _quiet_dvc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every command of DVC would otherwise start a process that tells its makers of it, and another that asks for a newer one."""
    folder = tmp_path_factory.mktemp("dvc")
    (folder / "config").write_text("[core]\n    analytics = false\n    check_update = false\n")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DVC_GLOBAL_CONFIG_DIR", str(folder))
        yield


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder: two layers, random weights, its own byte-level BPE tokenizer."""
    import torch

    from serin.base.pretrain import new_model
    from serin.base.tokenizer import save_tokenizer, train_tokenizer
    from serin.core.params import RebuildParams

    folder = tmp_path_factory.mktemp("tiny") / "base"
    text = ["How long may a probation period last? At most six months.", "试用期最长不得超过六个月。第十九条。"] * 20
    tokenizer = train_tokenizer(text, 512)
    torch.manual_seed(0)
    model = new_model(RebuildParams(hidden_size=128, layers=2, row_tokens=128), tokenizer)
    model.to(torch.bfloat16).save_pretrained(str(folder))
    save_tokenizer(tokenizer, folder)
    return folder


@dataclass(frozen=True)
class Reply:
    """What the server sends, and how long it takes to."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0


def completion(text: str | None, tokens: int | None = None, delay_s: float = 0.0) -> Reply:
    """A chat completion as servers write it, with its usage where they count."""
    body: dict[str, Any] = {
        "object": "chat.completion",
        "choices": [{"message": {"role": "assistant", "content": text}}],
    }
    if tokens is not None:
        body["usage"] = {"total_tokens": tokens}
    return Reply(body=body, delay_s=delay_s)


class ChatServer:
    """Answers on a free port of the loopback; ``asked`` holds the bodies of the requests, ``keys`` their credentials."""

    Reply = staticmethod(Reply)
    completion = staticmethod(completion)

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.times: list[float] = []
        self.answer: Callable[[int, str], Reply] = lambda _, question: completion(f"answer to {question}", 10)
        """From the number of the request, counted from 0, and the text of its last message."""
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    @property
    def questions(self) -> list[str]:
        return [body["messages"][-1]["content"] for body in self.asked]

    def forget(self) -> None:
        """Begin to count anew."""
        with self._lock:
            self.asked, self.keys, self.times = [], [], []

    def stop(self) -> None:
        self._stopped.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with server._lock:
                    number = len(server.asked)
                    server.asked.append(body)
                    server.keys.append(self.headers["authorization"])
                    server.times.append(time.monotonic())
                reply = server.answer(number, body["messages"][-1]["content"])
                if server._stopped.wait(reply.delay_s):
                    return
                text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
                try:
                    self.send_response(reply.status)
                    kind = "text/html" if text.startswith("<") else "application/json"
                    for name, value in {"content-type": kind, **reply.headers}.items():
                        self.send_header(name, value)
                    self.send_header("content-length", str(len(text.encode())))
                    self.end_headers()
                    self.wfile.write(text.encode())
                except OSError:
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


@pytest.fixture
def chat_server() -> Iterator[ChatServer]:
    server = ChatServer()
    yield server
    server.stop()
