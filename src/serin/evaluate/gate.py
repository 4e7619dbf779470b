"""The gate: a pure function from figures to a verdict."""

from collections.abc import Sequence
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


def judge(digest: str, gains: Sequence[Gain], min_token_f1_gain: float) -> Verdict:
    """In every language the lower bound of the token-F1 gain must be above the limit."""
    rules = tuple(
        Rule(
            rule=f"token_f1 gain in {gain.slice}, lower bound",
            found=gain.ci_low,
            limit=min_token_f1_gain,
            passed=gain.ci_low > min_token_f1_gain,
        )
        for gain in gains
        if gain.metric == "token_f1" and gain.slice != "all"
    )
    return Verdict(digest, rules)
