"""The verdict on one digest: what ``evaluate`` concludes and writes, and ``publish`` asks for."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

Side = Literal["above", "below"]


class Rule(BaseModel):
    """One rule on one slice, the figure it looked at, and whether it held. Keys that are not known are not looked at."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    rule: str
    """In words."""
    metric: str = ""
    on: str = ""
    """The set of questions."""
    slice: str = ""
    over: str | None = None
    found: float | None
    """None: it was not measured, which is a no."""
    limit: float
    side: Side = "above"
    measured: int | None = None
    """On how many questions of the slice; None where nobody counted."""
    asked: int | None = None
    """Of how many that the metric is meant for."""
    coverage: float = 0.0
    """The least share of these that has to be measured."""
    passed: bool
    missed_by: float | None = None
    """How far the figure is on the wrong side; None where it is on the right one, or nothing was found."""

    @classmethod
    def judge(cls, *, found: float | None, limit: float, side: Side, **more: Any) -> Self:
        """Hold the figure against its limit; a figure at its limit does not pass, nor one of too few questions."""
        rule = cls(found=found, limit=limit, side=side, passed=False, **more)
        if found is None:
            return rule
        is_right = found > limit if side == "above" else found < limit
        missed_by = None if is_right else abs(limit - found)
        return rule.model_copy(update={"passed": is_right and not rule.is_short, "missed_by": missed_by})

    @property
    def is_short(self) -> bool:
        """Whether it was measured on too few of the questions that it is meant for."""
        if self.measured is None or not self.asked:
            return False
        return self.measured / self.asked < self.coverage

    def __str__(self) -> str:
        limit = f"and has to be {self.side} {self.limit:.3f}"
        if self.found is None:
            on = f" on any of {self.asked} questions" if self.asked else ""
            return f"{self.rule}: was not measured{on}, {limit}"
        missed = "" if self.missed_by is None else f", missed by {self.missed_by:.3f}"
        short = f", measured on {self.shortfall}" if self.is_short else ""
        return f"{self.rule}: {self.found:.3f}, {limit}{missed}{short}"

    @property
    def shortfall(self) -> str:
        """On how many of how many questions it was measured, and what share has to be, in words."""
        return f"{self.measured} of {self.asked} questions, and has to be on {100 * self.coverage:g}% of them"


class Verdict(BaseModel):
    """What was concluded about one digest. Keys that are not known are not looked at."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    digest: str
    against: str | None = None
    """The production model that it was compared with, ``name@digest``."""
    passed: bool
    """Whether the digest may be published without an override."""
    rules: tuple[Rule, ...]
    skipped: tuple[str, ...] = ()
    """Rules that did not apply, and why."""

    @property
    def missed(self) -> tuple[str, ...]:
        """Each rule that did not hold, and by how much."""
        return tuple(str(rule) for rule in self.rules if not rule.passed)

    def as_dict(self) -> dict[str, Any]:
        """The content of ``verdict.json``."""
        return {
            **self.model_dump(),
            "rules": [rule.model_dump() for rule in self.rules],
            "skipped": list(self.skipped),
        }
