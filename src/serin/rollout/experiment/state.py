"""An experiment as a value: what was declared, what was counted, and what follows from it. Pure; times are Unix seconds."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from serin.core.params import ExperimentParams
from serin.core.params.experiment import Goal
from serin.rollout.eprocess import SPLIT_ALPHA
from serin.rollout.evidence import Due
from serin.rollout.experiment.pairs import Pair, Tally, all_pairs, beaten_by, fold_pair, log_needed, winner
from serin.rollout.experiment.split import log_e_split

BATCH_S = 5.0
"""Length of a batch, by assignment time; guesses are frozen within one."""
STABLE = "stable"
"""The arm that nobody had to deploy for the experiment; the others are named by their revision."""
_SAME_WEIGHT = 1e-9


@dataclass(frozen=True, slots=True)
class CountedUnit:
    """A unit whose outcomes are final. ``y`` is by metric, 1 = bad; empty where it does not count: it came in the warm-up,
    or while the weights were not the experiment's."""

    unit: str
    arm: str
    assigned_t: float
    batch: int
    y: Mapping[Goal, int]
    score: float | None = None
    """Of its first answer, if it rated that."""


class ArmCounts(BaseModel):
    """What was seen of one arm."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    units: int = 0
    bad: dict[Goal, int] = {}
    rated: int = 0
    """Units that rated their first answer."""
    score: float = 0.0
    """The sum of their scores."""

    def with_units(self, units: Sequence[CountedUnit]) -> "ArmCounts":
        """These too."""
        scores = [each.score for each in units if each.score is not None]
        metrics = set(self.bad).union(*(each.y for each in units))
        return ArmCounts(
            units=self.units + len(units),
            bad={m: self.bad.get(m, 0) + sum(each.y.get(m, 0) for each in units) for m in sorted(metrics)},
            rated=self.rated + len(scores),
            score=self.score + math.fsum(scores),
        )


class ExperimentState(BaseModel):
    """Everything that an experiment is."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    id: str
    stable: str
    """The revision that is stable throughout."""
    weights: dict[str, float]
    """Arm to share of the units, stable first; they sum to 1."""
    params: ExperimentParams
    started_t: float
    counted_from: float
    """Units assigned earlier are warm-up, for all arms."""
    batches: int = 0
    """Batches folded in; a unit of an earlier batch has been counted already."""
    counts: dict[str, ArmCounts]
    pairs: list[Pair]
    split_log_e: float = 0.0
    """The largest ln E so far that units do not fall on the arms as declared."""
    decision: Literal["running", "stopped"] = "running"
    reason: str = ""
    person: str = ""
    """Who stopped it."""
    chosen: str | None = None
    """The revision that person chose to go on with, for a rollout."""
    ended_t: float | None = None

    @property
    def salt(self) -> str:
        """Its own, so that its split is independent of every other."""
        return self.id

    @property
    def arms(self) -> list[str]:
        """Stable first."""
        return list(self.weights)

    @property
    def variants(self) -> dict[str, float]:
        """Revision to weight, without stable."""
        return {arm: weight for arm, weight in self.weights.items() if arm != STABLE}

    @property
    def units(self) -> int:
        """Counted ones, of all arms."""
        return sum(each.units for each in self.counts.values())

    @property
    def split_is_broken(self) -> bool:
        """Whether units do not fall on the arms as declared, so that nothing here can be trusted."""
        return self.split_log_e >= math.log(1 / SPLIT_ALPHA)

    @property
    def winner(self) -> str | None:
        """The arm that is proven to beat all others in the goal; None while there is none."""
        return None if self.split_is_broken else winner(self.pairs, self.params.goal, self.arms, self.params.alpha)

    @property
    def log_needed(self) -> float:
        """ln E at which one arm is proven better than another."""
        return log_needed(len(self.weights), self.params.alpha)

    def beaten_by(self, metric: str, arm: str) -> list[str]:
        """Arms that are proven worse than ``arm`` in a metric."""
        return [] if self.split_is_broken else beaten_by(self.pairs, metric, arm, self.log_needed)

    def revision_of(self, arm: str) -> str:
        """What an arm answers with."""
        return self.stable if arm == STABLE else arm


def new_experiment(
    name: str, stable: str, weights: Mapping[str, float], params: ExperimentParams, now: float
) -> ExperimentState:
    """One that begins now; ``weights`` are by arm, stable first."""
    return ExperimentState(
        id=name,
        stable=stable,
        weights=dict(weights),
        params=params,
        started_t=now,
        counted_from=now + params.warmup_s,
        counts={arm: ArmCounts() for arm in weights},
        pairs=all_pairs(params.metrics, list(weights)),
    )


def counted(state: ExperimentState, due: Iterable[Due]) -> list[CountedUnit]:
    """What these exposures count as."""
    found = []
    for exposure, batch, score in due:
        declared = math.isclose(exposure.weight, state.weights[exposure.arm], abs_tol=_SAME_WEIGHT)
        counts = declared and exposure.assigned_t >= state.counted_from
        y: dict[Goal, int] = {}
        if counts:
            slow = exposure.ttft_s is None or exposure.ttft_s > (state.params.slow_after_s or math.inf)
            bad_rating = score is not None and score < state.params.feedback_bad_below
            bad = {"error": exposure.error, "feedback": exposure.error or bad_rating, "ttft": slow}
            y = {metric: int(bad[metric]) for metric in state.params.metrics}
        kept = score if counts else None
        found.append(CountedUnit(exposure.unit, exposure.arm, exposure.assigned_t, batch, y, kept))
    return found


def take_in(state: ExperimentState, units: Iterable[CountedUnit]) -> ExperimentState:
    """Count units; those of a batch that was folded in already change nothing."""
    batches: dict[int, list[CountedUnit]] = defaultdict(list)
    for unit in units:
        if unit.batch >= state.batches:
            batches[unit.batch].append(unit)
    counts, pairs, split = dict(state.counts), state.pairs, state.split_log_e
    for number in sorted(batches):
        by_arm: dict[str, list[CountedUnit]] = defaultdict(list)
        for unit in batches[number]:
            if unit.y:
                by_arm[unit.arm].append(unit)
        counts |= {arm: counts[arm].with_units(members) for arm, members in by_arm.items()}
        tallies: dict[str, dict[str, Tally]] = {
            metric: {arm: Tally(len(members), sum(u.y[metric] for u in members)) for arm, members in by_arm.items()}
            for metric in state.params.metrics
        }
        pairs = [fold_pair(pair, tallies[pair.metric], state.weights, state.params.margin) for pair in pairs]
        split = max(split, log_e_split({arm: each.units for arm, each in counts.items()}, state.weights))
    update = {"counts": counts, "pairs": pairs, "split_log_e": split}
    return state.model_copy(update={**update, "batches": max(batches) + 1}) if batches else state


def stop(
    state: ExperimentState, reason: str, now: float, person: str = "", chosen: str | None = None
) -> ExperimentState:
    """End a running experiment; one that was stopped stays as it is."""
    if state.decision != "running":
        return state
    ending = {"decision": "stopped", "reason": reason, "person": person, "chosen": chosen, "ended_t": now}
    return state.model_copy(update=ending)
