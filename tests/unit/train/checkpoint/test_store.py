import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from serin.core.errors import FinalError, InputError
from serin.train.checkpoint.state import State
from serin.train.checkpoint.store import CheckpointStore
from serin.train.history import History, StepRecord, ValidationRecord

KEY = "a" * 64


def state_at(step: int, best: int | None = None) -> State:
    history = History([StepRecord(s, s / 3, 1 / (s + 1), 1e-3, 0.5, 40, 20) for s in range(1, step + 1)])
    if best is not None:
        history.validations.append(ValidationRecord(best, best / 3, 0.1 + 0.2, 77))
    return State(step, 4, history, {"w": torch.full((2, 3), float(step))}, {"exp_avg/w": torch.ones(2, 3)})


def test_what_is_read_back_is_what_was_saved(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, KEY, keep=2)
    saved = state_at(6)
    store.save(saved)
    found = store.newest(pytest.fail)
    assert found is not None
    assert (found.step, found.micro_batch_size, found.history) == (6, 4, saved.history)
    assert torch.equal(found.weights["w"], saved.weights["w"])
    assert torch.equal(found.moments["exp_avg/w"], saved.moments["exp_avg/w"])


def test_the_last_ones_stay(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, KEY, keep=2)
    for step in (2, 4, 6):
        store.save(state_at(step))
    assert store.steps() == [4, 6]


def test_one_that_is_being_copied_stays_until_it_is_done(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, KEY, keep=1)
    store.is_in_use = lambda step: step == 2
    store.save(state_at(2))
    store.save(state_at(4))
    assert store.steps() == [2, 4]


@pytest.mark.parametrize("file", ["weights.safetensors", "moments.safetensors", "state.json", "manifest.json"])
def test_a_damaged_checkpoint_is_told_of_and_the_one_before_it_is_used(tmp_path: Path, file: str) -> None:
    store = CheckpointStore(tmp_path, KEY, keep=3)
    store.save(state_at(2))
    path = store.save(state_at(4)) / file
    path.write_bytes(path.read_bytes()[:-3])
    told: list[str] = []
    found = store.newest(told.append)
    assert found is not None
    assert found.step == 2
    assert len(told) == 1
    assert "step-00000004 is not used" in told[0]


def test_a_byte_that_flipped_is_noticed(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, KEY, keep=3)
    path = store.save(state_at(4)) / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    told: list[str] = []
    assert store.newest(told.append) is None
    assert "weights.safetensors differ from its manifest" in told[0]


def test_a_folder_without_its_manifest_is_no_checkpoint(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, KEY, keep=3)
    (store.save(state_at(2)) / "manifest.json").unlink()
    assert store.newest(pytest.fail) is None


def test_a_checkpoint_of_another_run_is_not_used(tmp_path: Path) -> None:
    other = CheckpointStore(tmp_path, "b" * 64, keep=3)
    store = CheckpointStore(tmp_path, KEY, keep=3)
    store.folder.mkdir()
    shutil.copytree(other.save(state_at(9)), store.path(9))
    told: list[str] = []
    assert store.newest(told.append) is None
    assert "belongs to the run bbbbbbbbbbbb" in told[0]


def test_the_best_weights_come_along_with_any_checkpoint(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, KEY, keep=1)
    store.save_best(3, {"w": torch.full((2, 3), 3.0)})
    for step in (4, 6):
        path = store.save(state_at(step, best=3))
    moved = CheckpointStore(tmp_path / "elsewhere", KEY, keep=1)
    moved.folder.mkdir(parents=True)
    shutil.copytree(path, moved.path(6))
    assert moved.newest(pytest.fail) is not None
    assert torch.equal(moved.load_best(3)["w"], torch.full((2, 3), 3.0))


def test_best_weights_that_are_gone_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="best-00000003"):
        CheckpointStore(tmp_path, KEY, keep=1).load_best(3)


def test_a_finished_run_keeps_its_weights_alone(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, KEY, keep=2)
    store.save_best(3, {"w": torch.zeros(2, 3)})
    store.save(state_at(6, best=3))
    done = state_at(7, best=3)
    store.finish(State(7, 4, done.history, done.weights, {}, finished=True))
    found = store.newest(pytest.fail)
    assert found is not None
    assert found.finished
    assert found.step == 7
    assert sorted(p.name for p in store.folder.iterdir()) == ["finished"]


def test_a_full_disk_leaves_the_checkpoints_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = CheckpointStore(tmp_path, KEY, keep=1)
    store.save(state_at(2))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("serin.train.checkpoint.store.save_file", full)
    with pytest.raises(OSError, match="No space"):
        store.save(state_at(4))
    assert store.steps() == [2]
    assert sorted(p.name for p in store.folder.iterdir()) == ["step-00000002"]


def test_a_run_can_be_forgotten(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, KEY, keep=2)
    with store.lock():
        store.save_best(2, {"w": torch.zeros(2, 3)})
        store.save(state_at(2, best=2))
        store.forget()
        assert store.newest(pytest.fail) is None
        assert [p.name for p in store.folder.iterdir()] == ["lock"]


def test_two_processes_cannot_train_one_run(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from serin.train.checkpoint.store import CheckpointStore\n"
        "with CheckpointStore(Path(sys.argv[1]), sys.argv[2], 1).lock():\n"
        "    print('locked', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), KEY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "locked\n"
        store = CheckpointStore(tmp_path, KEY, 1)
        with pytest.raises(FinalError, match=f"process {child.pid} trains this very run"), store.lock():
            pytest.fail("locked twice")
        child.kill()
        child.wait()
        with store.lock():
            assert json.loads((store.folder / "lock").read_text()) == os.getpid()
    finally:
        child.kill()
        child.communicate()
