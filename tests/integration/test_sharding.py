"""Two processes by torchrun (gloo, on the CPU): what they say to each other, and models that neither holds whole."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from serin.clients.files import read_json
from serin.train.processes import Processes

from . import hangs, shares
from .shares import CASES, STEPS
from .test_processes import TORCHRUN

ALONE = Processes(0, 1, torch.device("cpu"))
EXACT = {"qlora": 1e-5, "full": 1e-5, "lora": 1e-2}
"""How far anything may be off; ``lora`` computes in bfloat16, where other rows in a batch mean other rounding."""
PARTS = {"qlora": 0.65, "full": 0.51, "lora": 0.65}
"""The most that one of two processes may hold; what is trained beside an adapter, and in 4 bits, is a lot of a tiny model."""


@pytest.fixture(scope="module")
def out(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shares")
    launch(shares.__file__, str(tiny_base), str(folder))
    return folder


def launch(*command: str) -> None:
    """Run a script in two processes, to its end."""
    torchrun = [*TORCHRUN, "--rdzv-endpoint", "127.0.0.1:0", *command]
    ended = subprocess.run(torchrun, stderr=subprocess.PIPE, text=True, timeout=240, check=False)
    assert ended.returncode == 0, ended.stderr


def test_processes_agree(out: Path) -> None:
    first, second = (read_json(out / f"talk-{rank}.json") for rank in (0, 1))
    assert first == second
    assert first["sum"] == pytest.approx(0.1 + 1.1, abs=1e-12)
    assert first["smallest"] == 6
    assert first["any"] == [True, False]
    assert first["from_first"] == "said by 0"


def test_processes_that_would_train_two_runs_are_refused(out: Path) -> None:
    for rank in (0, 1):
        assert "the run of process 1 is a1, that of process 0 is a0" in read_json(out / f"talk-{rank}.json")["refused"]


def test_gradients_are_summed_where_one_process_has_none(out: Path) -> None:
    wanted = [[0.1] * 3, [1.2] * 5, [3.2] * 4, [5.2] * 2]
    for found, expected in zip(read_json(out / "talk-1.json")["gradients"], wanted, strict=True):
        assert found == pytest.approx(expected, abs=1e-6)


def test_who_waits_for_one_that_hangs_is_told_so_and_goes(tmp_path: Path) -> None:
    launch(hangs.__file__, str(tmp_path))
    for rank in (0, 1):
        assert f"process {rank} of 2 does not hear from another one" in read_json(tmp_path / f"away-{rank}.json")


@pytest.mark.filterwarnings("ignore:.*tie_word_embeddings")  # lm_head is trained whole on a model that ties it
@pytest.mark.parametrize("case", CASES)
def test_a_model_in_parts_learns_what_a_whole_one_does(case: str, out: Path, tiny_base: Path) -> None:
    """Losses, norms, moments and weights; steps of five examples in micro-batches of two, which two processes share unevenly."""
    whole, figures = shares.learn(case, tiny_base, ALONE), read_json(out / f"{case}.json")
    assert figures["held"] <= PARTS[case]
    assert len(figures["losses"]) == STEPS + 1
    for kind in ("losses", "norms", "held_out"):
        assert figures[kind] == pytest.approx(whole.figures[kind], rel=EXACT[case], abs=EXACT[case])
    for kind, wanted in (("weights", whole.weights), ("moments", whole.moments)):
        same(load_file(out / f"{case}.{kind}.safetensors"), wanted, EXACT[case])


@pytest.mark.parametrize("case", CASES)
def test_a_model_in_parts_goes_on_from_whole_weights_and_moments_exactly(case: str, out: Path) -> None:
    assert read_json(out / f"{case}.json")["again"] is True


def same(found: dict[str, Any], wanted: dict[str, Any], off: float) -> None:
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=off)
