"""Which revision a request gets: a pure function of the request, the weights and what runs."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from serin.clients.serving_state import Weights
from serin.core.errors import ServingError
from serin.core.traffic import assign

PRODUCTION = "serin"
"""As a request's ``model``: whatever production serves."""


@dataclass(frozen=True, slots=True)
class Choice:
    """``rollout`` names a rollout or an experiment; None where the outcome says nothing: none runs, or the client chose."""

    arm: str
    revision: str
    weight: float
    rollout: str | None
    fallback: str | None = None
    """The revision that answers if this one fails before its first byte."""


class NoStableError(ServingError):
    """Nothing has been deployed, so there is nothing to choose."""


class UnknownModelError(ServingError):
    """The request names a model that does not run here."""


def unit_of(header: str | None, body: Mapping[str, Any], nonce: str) -> str:
    """What is randomised: the user that the header or the body names, or the request itself where neither does."""
    if header:
        return header
    user = body.get("user")
    return user if isinstance(user, str) and user else nonce


def choose(model: str | None, unit: str, weights: Weights, running: Collection[str]) -> Choice:
    """The arm and revision of a request.

    ``model`` is None, ``serin`` or the name that stable or canary carry before their ``@``: the split decides. A
    revision (``name@digest``, or a prefix of one) is served as asked, outside of any rollout.

    Raises:
        NoStableError: nothing has been deployed yet.
        UnknownModelError: no such model or revision runs.
    """
    if model is not None and "@" in model:
        return _chosen_by_client(model, weights, running)
    if weights.stable is None:
        raise NoStableError("no revision is deployed: run 'serin deploy REVISION'")
    names = {PRODUCTION} | {r.partition("@")[0] for r in weights.revisions()}
    if model is not None and model not in names:
        raise _unknown(model, names | set(running))
    arm = assign(unit, weights.salt, weights.arms())
    if arm == "canary" and weights.canary is not None:
        return Choice("canary", weights.canary, weights.canary_weight, weights.rollout, fallback=weights.stable)
    if arm in weights.variants:
        return Choice(arm, arm, weights.variants[arm], weights.experiment, fallback=weights.stable)
    return Choice("stable", weights.stable, weights.canary_weight, weights.rollout or weights.experiment)


def _chosen_by_client(model: str, weights: Weights, running: Collection[str]) -> Choice:
    known = set(running) | weights.revisions()
    matches = sorted(revision for revision in known if revision.startswith(model))
    if len(matches) != 1:
        raise _unknown(model, known)
    arm = "canary" if matches[0] == weights.canary else "stable"
    return Choice(arm, matches[0], weights.canary_weight, rollout=None)


def _unknown(model: str, known: Collection[str]) -> UnknownModelError:
    return UnknownModelError(f"model {model!r} does not run here; these do: {', '.join(sorted(known)) or 'none'}")
