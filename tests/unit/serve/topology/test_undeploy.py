"""The two phases, with a supervisor and a gateway that the test plays."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from serin.clients.serving_state import Declared, FolderState, RevisionStatus, Weights
from serin.core.errors import RetryableError, ServingError, UsageError
from serin.core.params import ServeParams
from serin.core.revision import Revision
from serin.rollout.start import deployed
from serin.serve.topology.undeploy import find_deployed, undeploy

A, B, C = "law@" + "a" * 64, "law@" + "b" * 64, "law@" + "c" * 64
PARAMS = ServeParams()


def quiet(line: str) -> None:
    """Nobody reads it."""


@pytest.fixture
def state(tmp_path: Path) -> FolderState:
    """A is stable, B runs beside it."""
    state = FolderState(tmp_path)
    for revision in (A, B):
        state.change_topology(lambda t, name=revision: t.with_revision(name, Declared(f"models/{name}", str(tmp_path))))
    state.write_status({A: RevisionStatus("ready"), B: RevisionStatus("ready")})
    state.change_weights(lambda w: replace(w, stable=A, salt=A))
    return state


@contextmanager
def serving(state: FolderState, acknowledges: bool = True, log: list[str] | None = None) -> Iterator[None]:
    """A supervisor that removes what is declared no more, and a gateway that follows at once or never."""
    stopped = threading.Event()
    told = log if log is not None else []

    def work() -> None:
        with state.hold_supervisor_lock() as free:
            assert free
            while not stopped.wait(0.02):
                weights = state.weights()
                state.acknowledge("g1", weights.version if acknowledges else 0)
                if acknowledges and weights.retiring and "acknowledged" not in told:
                    told.append("acknowledged")
                kept = {name: entry for name, entry in state.status().items() if name in state.topology().revisions}
                if kept.keys() != state.status().keys():
                    told.append("removed")
                    state.write_status(kept)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        while not state.serves():
            time.sleep(0.01)
        yield
    finally:
        stopped.set()
        thread.join()


def test_it_is_removed_after_every_gateway_has_heard(state: FolderState) -> None:
    (state.models_folder / Revision.parse(B).label).mkdir(parents=True)
    log: list[str] = []
    with serving(state, log=log):
        undeploy(PARAMS, B, state, force=False, tell=quiet)
    assert log == ["acknowledged", "removed"]
    assert set(state.topology().revisions) == {A}
    assert state.weights().retiring == ()
    assert not (state.models_folder / Revision.parse(B).label).exists()


def test_without_an_acknowledgement_it_runs_on_and_the_command_goes_on_later(
    state: FolderState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serin.clients.serving_state.folder._ACK_TIMEOUT_S", 0.5)
    with serving(state, acknowledges=False), pytest.raises(RetryableError):
        undeploy(PARAMS, B, state, force=False, tell=quiet)
    assert B in state.topology().revisions
    assert state.weights().retiring == (B,)
    with pytest.raises(ServingError, match="is being removed"):
        deployed(B, state)
    with serving(state):
        undeploy(PARAMS, B, state, force=False, tell=quiet)
    assert set(state.topology().revisions) == {A}
    assert state.weights().retiring == ()


@pytest.mark.parametrize("force", [False, True])
def test_stable_is_never_taken_away(state: FolderState, force: bool) -> None:
    before = state.weights()
    with pytest.raises(UsageError, match="is stable"):
        undeploy(PARAMS, A, state, force=force, tell=quiet)
    assert state.weights() == before


def canary(w: Weights) -> Weights:
    return replace(w, rollout="r1", canary=B, canary_weight=0.1)


def variant(w: Weights) -> Weights:
    return replace(w, experiment="e1", variants={B: 0.3, C: 0.2})


def shadow(w: Weights) -> Weights:
    return replace(w, shadow=B, shadow_share=0.5)


@pytest.mark.parametrize(("use", "said"), [(canary, "rollout r1"), (variant, "experiment e1"), (shadow, "shadow")])
def test_what_is_in_use_stays_unless_forced(state: FolderState, use: Callable[[Weights], Weights], said: str) -> None:
    before = state.change_weights(use)
    with pytest.raises(UsageError, match=said):
        undeploy(PARAMS, B, state, force=False, tell=quiet)
    assert state.weights() == before
    with serving(state):
        undeploy(PARAMS, B, state, force=True, tell=quiet)
    after = state.weights()
    assert after.use_of(B) is None
    assert (after.stable, sum(after.arms().values())) == (A, 1.0)
    if use is variant:
        assert (after.experiment, after.variants) == ("e1", {C: 0.2})


def test_a_rollout_that_begins_meanwhile_is_not_undercut(state: FolderState) -> None:
    """It claims the weights of the version that it read, and a retirement makes a new one."""
    read = state.weights()
    with serving(state):
        undeploy(PARAMS, B, state, force=False, tell=quiet)
    assert state.weights().version > read.version
    with pytest.raises(ServingError, match="not deployed"):
        deployed(B, state)


def test_while_nothing_serves_it_is_forgotten_at_once(state: FolderState) -> None:
    state.write_status({})
    undeploy(PARAMS, B, state, force=False, tell=quiet)
    assert set(state.topology().revisions) == {A}


@pytest.mark.parametrize(("wanted", "said"), [("law@" + "d" * 8, "not deployed"), ("other@" + "a" * 8, "not deployed")])
def test_what_is_not_deployed_is_said(state: FolderState, wanted: str, said: str) -> None:
    with pytest.raises(ServingError, match=said):
        find_deployed(Revision.parse(wanted), state)
    assert find_deployed(Revision.parse(A[:12]), state) == A
