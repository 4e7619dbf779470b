"""Whether a verdict lets a revision be published: a pure function of the verdict, what is in production, and an override."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from serin.core.errors import GateError, InputError
from serin.core.revision import Revision
from serin.core.verdict import Verdict


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
    if verdict.missed or not verdict.passed:
        missed = "; ".join(verdict.missed) or "no rule applied"
        return f"{revision} did not pass its evaluation ({missed}): train better"
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
