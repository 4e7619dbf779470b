"""What a person decides of a rollout, stored as a step at once, whether its loop runs or not."""

from collections.abc import Callable
from typing import Literal

from serin.clients.serving_state import ServingState
from serin.core.errors import UsageError
from serin.rollout.engine import apply
from serin.rollout.pauses import pause, resume
from serin.rollout.policy import Decision, decide_by_hand
from serin.rollout.state import RolloutState
from serin.rollout.store import Action, RolloutStore, Step

Verb = Literal["pause", "resume", "promote", "abort"]
_ENDS: dict[Verb, Literal["promoted", "aborted"]] = {"promote": "promoted", "abort": "aborted"}


def do_by_hand(
    verb: Verb, store: RolloutStore, serving: ServingState, reason: str, person: str, now: float
) -> tuple[Step, bool]:
    """Carry out a person's decision; the newest step, and whether it is this one. Again changes nothing.

    Raises:
        UsageError: the rollout has been decided, and otherwise; or it has not begun, and is not to be aborted.
        InputError: there is no such rollout, or it is damaged.
    """
    while True:
        state = store.read()
        newest = store.newest()
        assert newest is not None  # read() raises where there is none
        if state.decision != "running":
            if state.decision != _ENDS.get(verb):
                raise UsageError(f"rollout {store.id} is {state.decision} already ({state.reason}): start another one")
            apply(state, serving)
            return newest, False
        if newest.number == 0 and verb != "abort":
            raise UsageError(f"rollout {store.id} has not begun: no user is with {state.canary} yet")
        new, decision = _change(verb, reason, person, now)(state)
        if new == state:
            return newest, False
        step = Step(
            number=newest.number + 1,
            t=now,
            action=_action(verb),
            reason=reason or decision.reason,
            person=person,
            positions=newest.positions,
            state=new,
        )
        if store.append(step):
            apply(new, serving)
            return step, True


def _change(
    verb: Verb, reason: str, person: str, now: float
) -> Callable[[RolloutState], tuple[RolloutState, Decision]]:
    if verb == "pause":
        return lambda state: pause(state, reason, now, person)
    if verb == "resume":
        return lambda state: resume(state, now)
    return lambda state: decide_by_hand(state, _ENDS[verb], reason, now, person)


def _action(verb: Verb) -> Action:
    return verb
