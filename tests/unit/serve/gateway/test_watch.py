"""What a gateway replica goes by, followed in a folder; the cluster's side is tested with ``ClusterState``."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from serin.clients.serving_state import FolderState, RevisionStatus, Seen, Weights
from serin.core.errors import RetryableError
from serin.serve.gateway.watch import StateWatcher

A, B = "law@" + "a" * 64, "law@" + "b" * 64
TIMEOUT_S = 20.0


async def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


@pytest.fixture
def state(tmp_path: Path) -> FolderState:
    return FolderState(tmp_path)


async def test_new_weights_are_followed_and_then_acknowledged(state: FolderState) -> None:
    state.change_weights(lambda w: replace(w, stable=A))
    watcher = StateWatcher(state, "g1")
    await watcher.start()
    assert watcher.weights.stable == A
    changed = state.change_weights(lambda w: replace(w, canary=B, canary_weight=0.1))
    await asyncio.to_thread(state.wait_for_ack, changed.version, TIMEOUT_S)
    assert watcher.weights == changed
    await watcher.stop()
    assert not state.acknowledged(changed.version, time.time())
    assert list(state.acks_folder.glob("*")) == []


async def test_a_retiring_revision_is_asked_no_more_although_it_answers(state: FolderState) -> None:
    state.write_status({A: RevisionStatus("ready"), B: RevisionStatus("ready")})
    watcher = StateWatcher(state, "g1")
    await watcher.start()
    assert watcher.running == {A, B}
    state.change_weights(lambda w: replace(w, stable=A, retiring=(B,)))
    await until(lambda: watcher.running == {A})
    await watcher.stop()


async def test_a_damaged_file_leaves_the_last_weights_in_force(state: FolderState) -> None:
    written = state.change_weights(lambda w: replace(w, stable=A))
    watcher = StateWatcher(state, "g1")
    await watcher.start()
    state.weights_path.write_text("{")
    await asyncio.sleep(0.3)
    assert watcher.weights == written
    await watcher.stop()


async def test_it_starts_while_nobody_says_anything_and_follows_later(
    state: FolderState, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = state.change_weights(lambda w: replace(w, stable=A))

    def away() -> Seen:
        raise RetryableError("away")

    with monkeypatch.context() as patched:
        patched.setattr(state, "look", away)
        watcher = StateWatcher(state, "g1")
        starting = asyncio.ensure_future(watcher.start())
        await starting
        assert watcher.weights == Weights()
    changed = state.change_weights(lambda w: replace(w, salt="new"))
    await until(lambda: watcher.weights == changed)
    assert changed.version > written.version
    await watcher.stop()


def test_an_older_version_changes_nothing(state: FolderState) -> None:
    watcher = StateWatcher(state, "g1")
    watcher.go_by(Seen(Weights(version=3, stable=B), frozenset({B})))
    watcher.go_by(Seen(Weights(version=2, stable=A), frozenset({A})))
    assert (watcher.weights.stable, watcher.running) == (B, {B})


@pytest.mark.parametrize("turns", range(5))
async def test_a_change_that_comes_together_with_the_end_does_not_hold_it_up(state: FolderState, turns: int) -> None:
    watcher = StateWatcher(state, "g1")
    await watcher.start()
    await until(lambda: len(list(state.acks_folder.glob("*"))) == 1)
    await asyncio.sleep(0.05)
    watcher.go_by(state.look())
    for _ in range(turns):
        await asyncio.sleep(0)
    async with asyncio.timeout(TIMEOUT_S):
        await watcher.stop()
