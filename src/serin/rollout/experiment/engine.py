"""Counting an experiment, and ending it. It has no loop: its weights do not move, so whoever looks counts what is due.

What was counted is stored as a step, written once: whoever looks next, or at the same time, or after a kill, goes on from the
newest step and counts no unit twice. Evidence waits in the gateways' logs until somebody looks.
"""

from dataclasses import replace

from serin.clients.evidence import EvidenceReader
from serin.clients.serving_state import ServingState, Weights
from serin.core.errors import UsageError
from serin.rollout.evidence import Evidence
from serin.rollout.experiment.state import BATCH_S, ExperimentState, counted, stop, take_in
from serin.rollout.experiment.store import ExperimentStep, ExperimentStore


class Counter:
    """Takes an experiment from step to step.

    Args:
        store: its steps.
        reader: where the gateways' evidence is.
        serving: whose weights it holds.
    """

    def __init__(self, store: ExperimentStore, reader: EvidenceReader, serving: ServingState) -> None:
        self.store = store
        self.reader = reader
        self.serving = serving
        self._evidence: Evidence | None = None
        self._newest: ExperimentStep | None = None

    def turn(self, now: float) -> ExperimentStep:
        """Count what is due at ``now``; the newest step. An experiment whose weights somebody else changed ends.

        Raises:
            InputError: its steps or the evidence are damaged.
            StorageError: storage does not answer; nothing is lost, call again.
            OSError: likewise of a folder, such as one on a full disk.
        """
        newest, evidence = self._caught_up()
        if newest.state.decision == "running":
            newest = self._counted(newest, evidence, now)
        release(newest.state, self.serving)
        return newest

    def end(self, reason: str, now: float, person: str, chosen: str | None) -> tuple[ExperimentStep, bool]:
        """Count what is due, then end it; the newest step, and whether it is this one.

        Raises:
            UsageError: it ended before, with another revision chosen.
        """
        while True:
            newest = self.turn(now)
            state = newest.state
            if state.decision == "stopped":
                if state.chosen != chosen:
                    raise UsageError(
                        f"experiment {state.id} has ended already ({state.reason}), with "
                        f"{state.chosen or 'no revision'} chosen: nothing was changed"
                    )
                return newest, False
            ended = ExperimentStep(
                number=newest.number + 1,
                t=now,
                action="stop",
                person=person,
                positions=newest.positions,
                state=stop(state, reason, now, person, chosen),
            )
            if self.store.append(ended):
                release(ended.state, self.serving)
                return ended, True

    def _caught_up(self) -> tuple[ExperimentStep, Evidence]:
        """The newest step, whoever stored it, and what has not been counted up to it."""
        settled: list[str] = []
        for found, units in self.store.steps(0 if self._newest is None else self._newest.number + 1):
            self._newest = found
            settled += [each.unit for each in units]
        newest = self._newest or self.store.last()
        if self._evidence is None:
            state = newest.state
            self._evidence = Evidence(state.id, state.stable, newest.positions, state.arms, BATCH_S)
        self._evidence.settle(settled)
        return newest, self._evidence

    def _counted(self, newest: ExperimentStep, evidence: Evidence, now: float) -> ExperimentStep:
        state = newest.state
        for chunk in self.reader.read(evidence.positions, state.started_t):
            evidence.take_in(chunk, state.params.horizon_s)
        units = counted(state, evidence.exposures_due(state, now))
        new = take_in(state, units)
        if not holds(state, self.serving.weights()):
            reason = "the weights are not the experiment's: it never began, or somebody else changed them"
            new = stop(new, reason, now)
        if new == state:
            return newest
        action = "stop" if new.decision == "stopped" else "count"
        positions = evidence.resume_from(state, now)
        following = ExperimentStep(number=newest.number + 1, t=now, action=action, positions=positions, state=new)
        if not self.store.append(following, units):
            return self._caught_up()[0]  # another process was first; what is due stays due
        self._newest = following
        evidence.settle(each.unit for each in units)
        evidence.forget_before(state, now)
        return following


def claim(state: ExperimentState, serving: ServingState) -> Weights:
    """Split the traffic as an experiment declares; again changes nothing. Raises what ``claimed_by`` does."""
    return serving.change_weights(lambda present: claimed_by(state, present))


def claimed_by(state: ExperimentState, present: Weights) -> Weights:
    """The split that an experiment declares, in the place of ``present``.

    Raises:
        UsageError: a rollout or another experiment splits the traffic, or stable is another revision by now.
    """
    if present.experiment == state.id:
        return present
    if present.rollout is not None:
        raise UsageError(
            f"rollout {present.rollout} splits the traffic now: wait until it has ended, or end it with "
            "'serin rollout abort'"
        )
    if present.experiment is not None:
        raise UsageError(f"experiment {present.experiment} is running: end it with 'serin experiment stop'")
    if present.stable != state.stable:
        raise UsageError(f"stable is {present.stable or 'no revision'} and not {state.stable} by now: start again")
    going = sorted(set(present.retiring) & set(state.variants))
    if going:
        raise UsageError(f"{', '.join(going)} is being removed: deploy it again, and start another experiment")
    return replace(present, experiment=state.id, salt=state.salt, variants=state.variants)


def release(state: ExperimentState, serving: ServingState) -> None:
    """Send everybody to stable where an experiment has ended; weights that are not its own are left alone."""

    def released(present: Weights) -> Weights:
        if present.experiment != state.id:
            return present
        return replace(present, experiment=None, variants={})

    if state.decision == "stopped":
        serving.change_weights(released)


def holds(state: ExperimentState, weights: Weights) -> bool:
    """Whether the weights are those that an experiment declares."""
    return (weights.experiment, weights.stable, dict(weights.variants)) == (state.id, state.stable, state.variants)
