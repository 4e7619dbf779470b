"""``serin chat`` with real models, and at a real terminal."""

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from serin.base import stage as base_stage
from serin.cli.chat import command
from serin.core.conversation import Conversation, Message
from serin.core.errors import ConfigError
from serin.core.params import TrainParams
from serin.evaluate.answers.local import LocalModel
from serin.lm.load import load_tokenizer
from serin.train.model.build import build

from ..unit.clients.stream_server import stream_server

QUESTION = "How long may a probation period last?"
TOKENS = 12


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained on NF4, as its manifest says."""
    known = base_stage.load(base)
    params = TrainParams.model_validate({"method": "qlora", "lora": {"r": 4, "alpha": 8}})
    model = build(params, known.folder, load_tokenizer(known.folder), [])
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in model.trained.values():
            weight.add_(torch.randn_like(weight) * 0.3)
    folder = tmp_path_factory.mktemp("trained") / "adapter"
    model.save(folder)
    manifest = {"kind": "adapter", "inputs": {"base": known.digest}, "params": {"method": "qlora"}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def chat(*arguments: str, says: str = f"{QUESTION}\n") -> Result:
    return CliRunner().invoke(command, [*arguments, "--max-new-tokens", str(TOKENS)], input=says)


def answer_of(folder: Path, adapter: Path | None = None) -> str:
    model = LocalModel(folder, "", TOKENS, batch_size=1, adapter=adapter)
    ((_, answer),) = model.answers([Conversation((Message("user", QUESTION),), {"id": "x"})])
    return answer.text


def test_an_adapter_beside_its_base(base: Path, adapter: Path) -> None:
    folder = base_stage.load(base).folder
    done = chat("--base", str(base), "--adapter", str(adapter), "--beside-base")
    assert done.exit_code == 0, done.exception
    wanted = answer_of(folder), answer_of(folder, adapter)
    assert wanted[0] != wanted[1]
    assert done.stdout == f"base: {wanted[0]}\nadapter on its base: {wanted[1]}\n"


def test_an_adapter_of_another_base_is_refused(base: Path, adapter: Path, tmp_path: Path) -> None:
    other = shutil.copytree(adapter, tmp_path / "adapter")
    (other / "manifest.json").write_text(json.dumps({"inputs": {"base": "0" * 64}, "params": {}}))
    done = chat("--base", str(base), "--adapter", str(other))
    assert isinstance(done.exception, ConfigError)
    assert "was trained on the base 000000000000, and" in str(done.exception)


def test_a_merged_model_is_found_by_its_pointer_its_revision_and_its_folder(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = base_stage.load(base).folder
    digest = "3f9a1c20" + "0" * 56
    shutil.copytree(folder, tmp_path / f"store/models/law-qa/{digest}")
    record = {"name": "law-qa", "digest": digest, "prefix": f"models/law-qa/{digest}", "inputs": {}}
    for path in (Path("artifacts/merged/pointer.json"), Path(f"store/published/law-qa/{digest}.json")):
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(record))
    Path("params.yaml").write_text("storage: {url: store}\n")
    wanted = f"{answer_of(folder)}\n"
    named = [["--merged", "artifacts/merged"], ["--model", "law-qa@3f9a1c20"], ["--model", str(folder)], []]
    found = [chat(*arguments) for arguments in named]
    assert [done.stdout for done in found] == [wanted] * 4, [done.exception for done in found]
    assert "talking to law-qa-3f9a1c20" in found[3].stderr


class Terminal:
    """``serin chat`` at a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self._fd, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "serin", "chat", *arguments],
            **dict.fromkeys(("stdin", "stdout", "stderr"), theirs),
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
            start_new_session=True,
            preexec_fn=lambda: _control(theirs),
        )
        os.close(theirs)
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def wait_for(self, pattern: str, timeout_s: float = 120.0) -> None:
        """Read on until it stands in what came since the last one that was waited for."""
        deadline = time.monotonic() + timeout_s
        seen = ""
        while not re.search(pattern, seen):
            assert time.monotonic() < deadline, f"no {pattern!r} in {seen!r}"
            if select.select([self._fd], [], [], 0.1)[0]:
                seen += os.read(self._fd, 1 << 16).decode(errors="replace")
        self.shown += seen

    def close(self) -> int:
        code = self.process.wait(120)
        os.close(self._fd)
        return code


def _control(fd: int) -> None:
    """Make the terminal the one whose Ctrl-C this process gets."""
    import fcntl
    import termios

    signal.signal(signal.SIGINT, signal.default_int_handler)
    fcntl.ioctl(fd, termios.TIOCSCTTY, 0)


def test_at_a_terminal_answers_are_written_as_they_come_and_ctrl_c_stops_one() -> None:
    with stream_server() as server:
        server.answer = lambda messages: (
            ["Let me ", "wait", "think"] if messages[-1]["content"] == "slow" else ["Six ", "months."]
        )
        terminal = Terminal("--endpoint", server.url)
        terminal.wait_for("> ")
        terminal.type("slow\n")
        terminal.wait_for("Let me ")
        terminal.type("\x03")
        terminal.wait_for(r"the question is forgotten(?s:.*)> ")
        terminal.type("quick\n")
        terminal.wait_for(r"Six months\.(?s:.*)> ")
        terminal.type("\x04")
        assert terminal.close() == 0
        assert [message["content"] for message in server.asked[1]["messages"]] == ["quick"]
