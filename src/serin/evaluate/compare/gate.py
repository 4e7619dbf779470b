"""The gate: a pure function from figures and rules to a verdict.

Every rule has to hold, each at its own level: a candidate that is truly worse in one of them passes with at most that rule's
chance of error, however many rules there are (the intersection-union principle, Berger 1982), so they need no correction.
"""

from collections.abc import Sequence

from serin.core.params.evaluation import RuleParams
from serin.core.verdict import Rule, Side, Verdict
from serin.evaluate.compare.figures import Figures, Place
from serin.evaluate.compare.slices import ALL


def judge(digest: str, against: str | None, rules: Sequence[RuleParams], figures: Figures) -> Verdict:
    """Apply each rule to each of its slices.

    A rule over production does not apply without one, nor does a rule to a slice that an encoder cannot measure. A slice that
    the set of questions does not have at all is a no: a rule that finds nothing must not pass. Nor must one that finds too
    little: a judge that answers where the candidate is good, and fails elsewhere, would let anything pass.
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
    passed = bool(found) and all(rule.passed for rule in found)
    return Verdict(digest=digest, against=against, passed=passed, rules=tuple(found), skipped=tuple(skipped))


def _slices(rule: RuleParams, figures: Figures) -> list[str]:
    """The slices that a rule names, a field standing for all of its slices."""
    places = {
        *figures.means.get("candidate", {}),
        *figures.gains.get(rule.over or "", {}),
        *figures.coverage.get(rule.over or "candidate", {}),
        *figures.unknown,
    }
    there = sorted({part for on, metric, part in places if (on, metric) == (rule.questions, rule.metric)})
    named: list[str] = []
    for wanted in rule.slices:
        of_field = [part for part in there if part.startswith(f"{wanted}=")]
        named += of_field if of_field and wanted != ALL else [wanted]
    return list(dict.fromkeys(named))


def _apply(rule: RuleParams, place: Place, figures: Figures) -> Rule:
    side: Side = "above" if rule.above is not None else "below"
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
    covered = figures.coverage.get(rule.over or "candidate", {}).get(place)
    return Rule.judge(
        found=value,
        limit=limit,
        side=side,
        rule=words,
        metric=metric,
        on=on,
        slice=part,
        over=rule.over,
        measured=covered and covered.measured,
        asked=covered and covered.asked,
        coverage=rule.coverage,
    )
