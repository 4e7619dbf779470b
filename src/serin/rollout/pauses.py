"""Pausing a rollout, and going on: transitions of its state, beside those of ``policy``."""

from serin.rollout.policy import Decision
from serin.rollout.state import RolloutState


def pause(state: RolloutState, reason: str, now: float, person: str = "") -> tuple[RolloutState, Decision]:
    """Hold a running rollout at its weight; one that is paused or decided stays as it is."""
    if state.decision != "running":
        return state, Decision("hold", state.weight, state.reason)
    if not state.paused:
        state = state.model_copy(update={"paused_t": now, "paused_by": person, "paused_because": reason})
    return state, Decision("hold", state.weight, state.pause_in_words)


def resume(state: RolloutState, now: float) -> tuple[RolloutState, Decision]:
    """Go on with a paused rollout: the time of the pause counts neither for its step nor against its longest time."""
    if state.decision != "running" or state.paused_t is None:
        return state, Decision("hold", state.weight, state.reason)
    length_s = max(0.0, now - state.paused_t)
    going_on = {
        "paused_t": None,
        "paused_s": state.paused_s + length_s,
        "paused_by": "",
        "paused_because": "",
        "step_started_t": state.step_started_t + length_s,
    }
    return state.model_copy(update=going_on), Decision(
        "hold", state.weight, f"goes on after a pause of {length_s:.0f} s"
    )
