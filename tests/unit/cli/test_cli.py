import subprocess
import sys
from pathlib import Path

import pytest

from serin.cli import VERBS

HEAVY = ("torch", "ray", "vllm", "transformers", "trl", "peft", "bitsandbytes", "botocore")


def serin(*arguments: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "serin", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_starts_without_the_heavy_packages(verb: str) -> None:
    arguments = [verb, "--help"] if verb else ["--help"]
    program = (
        "import sys\nfrom serin.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as done:\n    assert not done.code, done.code\n"
        f"loaded = [m for m in {HEAVY!r} if m in sys.modules]\nassert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage: serin" in done.stdout


def test_every_fault_in_params_is_shown_and_the_exit_code_is_78(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("train: {lora: {r: 0}, rate: 1}\nnope: 1\n")
    done = serin("train", cwd=tmp_path)
    assert done.returncode == 78
    assert "3 faults" in done.stderr
    for path in ("train.lora.r = 0", "train.rate = 1", "nope = 1"):
        assert path in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["trian"], 2, "No such command"),
        (["train", "--nope"], 2, "No such option"),
        (["train"], 78, "params.yaml is missing"),
    ],
)
def test_a_wrong_command_line_says_so(arguments: list[str], code: int, words: str, tmp_path: Path) -> None:
    done = serin(*arguments, cwd=tmp_path)
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr


def test_a_base_model_without_chat_template_ends_with_78_and_writes_nothing(tiny_base: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(tiny_base, tmp_path / "model")
    (tmp_path / "model" / "chat_template.jinja").unlink()
    (tmp_path / "params.yaml").write_text("base: {model: model}\n")
    done = serin("base", cwd=tmp_path)
    assert done.returncode == 78
    assert "no chat template" in done.stderr
    assert not (tmp_path / "artifacts" / "base").exists()


def test_a_failure_keeps_its_words_and_its_code_when_it_is_ended_meanwhile(tmp_path: Path) -> None:
    """As torchrun ends one process once another has failed of the same fault."""
    program = (
        "import atexit, os, signal\n"
        "atexit.register(lambda: os.kill(os.getpid(), signal.SIGTERM))\n"
        "from serin.cli import main\n"
        "main(['train', '--params', 'nowhere.yaml'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    alone = serin("train", "--params", "nowhere.yaml", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (alone.returncode, alone.stderr)
    assert "nowhere.yaml" in alone.stderr


def test_one_that_has_saved_goes_on_copying_when_it_is_ended_meanwhile() -> None:
    """As torchrun ends the process that copies once another one, which has nothing to copy, has left."""
    program = (
        "import os, signal\n"
        "import serin.cli as cli\n"
        "from serin.core.errors import PreemptedError\n"
        "def preempted(**_):\n"
        "    try:\n"
        "        raise PreemptedError('stopped at step 6')\n"
        "    finally:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        print('copied')\n"
        "cli.cli.main = preempted\n"
        "cli.main([])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (75, "copied\n", "serin: stopped at step 6\n")
