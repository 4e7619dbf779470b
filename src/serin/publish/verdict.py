"""Whether a verdict lets a revision be published: a pure function of the verdict, what is in production, and an override."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from serin.core.errors import GateError, InputError
from serin.core.revision import Revision


class Rule(BaseModel):
    """One rule of the gate as ``verdict.json`` tells it; further keys are not looked at."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    rule: str
    """In words."""
    found: float | None
    limit: float
    side: str = "above"
    passed: bool
    missed_by: float | None = None

    def __str__(self) -> str:
        if self.found is None:
            return f"{self.rule}: was not measured, and has to be {self.side} {self.limit:.3f}"
        missed = abs(self.limit - self.found) if self.missed_by is None else self.missed_by
        return f"{self.rule}: {self.found:.3f}, and has to be {self.side} {self.limit:.3f}, missed by {missed:.3f}"


class Verdict(BaseModel):
    """What ``evaluate`` concluded about one digest; further keys are not looked at."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    digest: str
    against: str | None = None
    """The production model that it was compared with, ``name@digest``."""
    passed: bool
    rules: tuple[Rule, ...]


def parse_verdict(value: Mapping[str, Any], where: str) -> Verdict:
    """The verdict in ``value``. Raises InputError where it is none."""
    try:
        return Verdict.model_validate(value)
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join(map(str, fault["loc"])) or "the whole of it"
        raise InputError(f"{where} is no verdict ({field}: {fault['msg']}): run 'serin evaluate' again") from error


def objection_to(revision: Revision, verdict: Verdict | None, production: Revision | None) -> str | None:
    """Why the revision must not be published on this verdict, and what to do about it; None where it may.

    Args:
        revision: what is to be published.
        verdict: on it, if there is one.
        production: what is in production now; a verdict against another model, or against none, says nothing about it.
            What is in production itself may be published again.
    """
    if verdict is None:
        return f"{revision} has no verdict: run 'serin evaluate'"
    if verdict.digest != revision.digest:
        return f"the verdict is about {verdict.digest[:12]}, not about {revision}: evaluate this model"
    missed = [str(rule) for rule in verdict.rules if not rule.passed]
    if missed or not verdict.passed:
        return f"{revision} did not pass its evaluation ({'; '.join(missed) or 'no rule applied'}): train better"
    if production is not None and production != revision and verdict.against != str(production):
        against = f"against {verdict.against}" if verdict.against else "against no production model"
        return (
            f"{revision} was evaluated {against}, and {production} is in production now: run "
            "'serin evaluate --pin production' and evaluate again"
        )
    return None


def check(revision: Revision, verdict: Verdict | None, production: Revision | None, override: str | None) -> str | None:
    """The override that was needed, or None where the verdict is enough.

    Raises:
        GateError: there is an objection, and no override.
    """
    objection = objection_to(revision, verdict, production)
    if objection is None:
        return None
    if override is None:
        raise GateError(f"{objection}, or publish with --override REASON")
    return override
