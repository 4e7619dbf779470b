"""The gate: a pure function from figures to a verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from serin.evaluate.comparison import Gain


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, the figure it looked at, and whether it held."""

    rule: str
    found: float
    limit: float
    passed: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was concluded about one digest; ``passed`` only if every rule held."""

    digest: str
    rules: tuple[Rule, ...]

    @property
    def passed(self) -> bool:
        """Whether the digest may be published without an override."""
        return bool(self.rules) and all(rule.passed for rule in self.rules)

    @property
    def missed(self) -> tuple[str, ...]:
        """Each rule that did not hold, and by how much."""
        return tuple(f"{r.rule}: {r.found:.3f}, limit {r.limit:.3f}" for r in self.rules if not r.passed)

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {"digest": self.digest, "passed": self.passed, "rules": [asdict(rule) for rule in self.rules]}


def judge(digest: str, gains: Sequence[Gain], limits: Mapping[str, float]) -> Verdict:
    """In every language the lower bound of each metric's gain must be above the limit that ``limits`` sets for it."""
    rules = tuple(
        Rule(
            rule=f"{gain.metric} gain in {gain.slice}, lower bound",
            found=gain.ci_low,
            limit=limits[gain.metric],
            passed=gain.ci_low > limits[gain.metric],
        )
        for gain in gains
        if gain.metric in limits and gain.slice != "all"
    )
    return Verdict(digest, rules)
