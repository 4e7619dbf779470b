"""The loop of a rollout: observe, decide, store, apply. It may be killed and started again at any point."""

import time
from collections.abc import Callable
from dataclasses import replace

from serin.clients.serving_state import FolderState, Weights
from serin.core.errors import RetryableError, UsageError
from serin.rollout.evidence import Evidence
from serin.rollout.policy import RolloutState, begin_counting, decide_by_hand, history_line, step
from serin.rollout.store import RolloutStore

POLL_S = 0.5
_ACK_S = 10.0


def run(store: RolloutStore, serving: FolderState, tell: Callable[[str], None]) -> RolloutState:
    """Go on with a rollout from its stored state until it is decided.

    Raises:
        UsageError: another process runs it.
        InputError: its folder is damaged.
    """
    with store.hold_lock() as mine:
        if not mine:
            raise UsageError(f"rollout {store.id} is run by another process: see 'serin rollout status'")
        state = store.read()
        evidence = Evidence(store.evidence_path, state.id, state.stable)
        try:
            apply(state, serving, tell)
            while state.decision == "running":
                state = tick(store, state, evidence, serving, time.time(), tell)
                if state.decision == "running":
                    time.sleep(POLL_S)
        finally:
            evidence.close_file()
    return state


def tick(
    store: RolloutStore,
    state: RolloutState,
    evidence: Evidence,
    serving: FolderState,
    now: float,
    tell: Callable[[str], None],
) -> RolloutState:
    """One round: read the logs up to ``now``, decide, store, then apply. The store comes first: it is what counts."""
    evidence.ingest_folder(serving.evidence_folder, state.params.horizon_s)
    before = state
    asked = store.asked()
    if asked is not None:
        state, decision = decide_by_hand(state, asked.decision, asked.reason, now)
    elif serving.weights().rollout != state.id:
        reason = "the weights no longer belong to this rollout: somebody else changed them"
        state, decision = decide_by_hand(state, "aborted", reason, now)
    else:
        state = begin_counting(state, evidence.stable_ttfts_s(), now, evidence.stable_tpots_s())
        evidence.close(state, now)
        state, decision = step(state, evidence.observations(state.batches), now)
    if state != before:
        store.write(state)
        store.append_history(history_line(state, decision, now))
    if decision.action != "hold":
        tell(f"{decision.action}, canary weight {state.weight:g}: {decision.reason}")
        apply(state, serving, tell)
    return state


def decide_now(store: RolloutStore, serving: FolderState, tell: Callable[[str], None]) -> RolloutState | None:
    """Record what a person asked for where no loop runs that would; None where one does, or nothing was asked."""
    with store.hold_lock() as mine:
        asked = store.asked()
        if not mine or asked is None:
            return None
        state, decision = decide_by_hand(store.read(), asked.decision, asked.reason, time.time())
        if decision.action != "hold":
            store.write(state)
            store.append_history(history_line(state, decision, time.time()))
        apply(state, serving, tell)
        return state


def apply(state: RolloutState, serving: FolderState, tell: Callable[[str], None]) -> None:
    """Make the weights what the state says, and wait for the gateways; weights of another rollout are left alone."""
    written = serving.change_weights(lambda present: weights_of(state, present))
    if written.rollout not in (state.id, None) or not serving.serves():
        return
    try:
        serving.wait_for_ack(written.version, _ACK_S)
    except RetryableError as error:
        tell(f"goes on unacknowledged: {error}")


def weights_of(state: RolloutState, present: Weights) -> Weights:
    """The split that a state stands for; ``present`` where it is not this rollout's to change."""
    if present.rollout != state.id:
        return present
    if state.decision == "running":
        return replace(present, salt=state.salt, stable=state.stable, canary=state.canary, canary_weight=state.weight)
    stable = state.canary if state.decision == "promoted" else state.stable
    return replace(present, rollout=None, stable=stable, canary=None, canary_weight=0.0)
