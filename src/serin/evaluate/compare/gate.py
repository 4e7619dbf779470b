"""The gate: a pure function from figures and rules to a verdict.

Every rule has to hold, each at its own level: a candidate that is truly worse in one of them passes with at most that rule's
chance of error, however many rules there are (the intersection-union principle, Berger 1982), so they need no correction.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from serin.core.params.evaluation import RuleParams
from serin.evaluate.compare.figures import Figures, Place
from serin.evaluate.compare.slices import ALL


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule on one slice, the figure it looked at, and whether it held."""

    rule: str
    """In words."""
    metric: str
    on: str
    slice: str
    over: str | None
    found: float | None
    """None: it was not measured, which is a no."""
    limit: float
    side: Literal["above", "below"]

    @property
    def missed_by(self) -> float | None:
        """How far the figure is on the wrong side; None where the rule held, or nothing was found."""
        if self.found is None or self.passed:
            return None
        return abs(self.limit - self.found)

    @property
    def passed(self) -> bool:
        """Whether the rule held; a figure at its limit does not."""
        if self.found is None:
            return False
        return self.found > self.limit if self.side == "above" else self.found < self.limit

    def __str__(self) -> str:
        if self.found is None:
            return f"{self.rule}: was not measured, and has to be {self.side} {self.limit:.3f}"
        missed = "" if self.missed_by is None else f", missed by {self.missed_by:.3f}"
        return f"{self.rule}: {self.found:.3f}, and has to be {self.side} {self.limit:.3f}{missed}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was concluded about one digest; ``passed`` only if every rule held."""

    digest: str
    against: str | None
    """The production model that it was compared with, ``name@digest``."""
    rules: tuple[Rule, ...]
    skipped: tuple[str, ...] = field(default=())
    """Rules that did not apply, and why."""

    @property
    def passed(self) -> bool:
        """Whether the digest may be published without an override."""
        return bool(self.rules) and all(rule.passed for rule in self.rules)

    @property
    def missed(self) -> tuple[str, ...]:
        """Each rule that did not hold, and by how much."""
        return tuple(str(rule) for rule in self.rules if not rule.passed)

    def as_dict(self) -> dict[str, Any]:
        """The content of ``verdict.json``."""
        rules = [{**asdict(rule), "passed": rule.passed, "missed_by": rule.missed_by} for rule in self.rules]
        return {
            "digest": self.digest,
            "against": self.against,
            "passed": self.passed,
            "rules": rules,
            "skipped": list(self.skipped),
        }


def judge(digest: str, against: str | None, rules: Sequence[RuleParams], figures: Figures) -> Verdict:
    """Apply each rule to each of its slices.

    A rule over production does not apply without one, nor does a rule to a slice that an encoder cannot measure. A slice that
    the set of questions does not have at all is a no: a rule that finds nothing must not pass.
    """
    found: list[Rule] = []
    skipped: list[str] = []
    for rule in rules:
        if rule.over == "production" and against is None:
            skipped.append(f"{rule.metric} over production on {rule.questions}: no production model is pinned")
            continue
        for part in _slices(rule, figures):
            place = (rule.questions, rule.metric, part)
            if place in figures.unknown:
                share = f"{figures.unknown[place]:.0%}"
                skipped.append(
                    f"{rule.metric} on {rule.questions} in {part}: the encoder does not know {share} of the tokens"
                )
            else:
                found.append(_apply(rule, place, figures))
    return Verdict(digest, against, tuple(found), tuple(skipped))


def _slices(rule: RuleParams, figures: Figures) -> list[str]:
    """The slices that a rule names, a field standing for all of its slices."""
    places = {*figures.means.get("candidate", {}), *figures.gains.get(rule.over or "", {}), *figures.unknown}
    there = sorted({part for on, metric, part in places if (on, metric) == (rule.questions, rule.metric)})
    named: list[str] = []
    for wanted in rule.slices:
        of_field = [part for part in there if part.startswith(f"{wanted}=")]
        named += of_field if of_field and wanted != ALL else [wanted]
    return list(dict.fromkeys(named))


def _apply(rule: RuleParams, place: Place, figures: Figures) -> Rule:
    side: Literal["above", "below"] = "above" if rule.above is not None else "below"
    limit = rule.above if rule.above is not None else rule.below
    assert limit is not None
    value: float | None = None
    if rule.over is None:
        value = figures.means.get("candidate", {}).get(place)
        what = "mean"
    else:
        gain = figures.gains.get(rule.over, {}).get(place)
        end = "gain" if rule.bound == "mean" else "ci_low" if side == "above" else "ci_high"
        value = None if gain is None else getattr(gain, end)
        what = {"gain": "gain", "ci_low": "gain, lower bound,", "ci_high": "gain, upper bound,"}[end]
    on, metric, part = place
    over = f" over {rule.over}" if rule.over else ""
    where = f" on {on}" if on != "test" else ""
    words = f"{metric} {what}{over}{where} in {part}"
    return Rule(words, metric, on, part, rule.over, value, limit, side)
