"""Which revision a request gets: a pure function of the request, the weights and what runs."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from serin.clients.serving_state import Weights
from serin.core.errors import ServingError
from serin.core.traffic import assign, unit_position

PRODUCTION = "serin"
"""As a request's ``model``: whatever production serves."""
UNIT_HEADERS = (b"x-serin-user", b"x-serin-session")
UNIT_MEMBERS = ("user", "safety_identifier", "prompt_cache_key")
"""OpenAI's names for a user, the old one first, and for requests that share a prefix, as those of one session do."""
OVERRIDE_HEADER = b"x-serin-revision"
OVERRIDE_SCOPE = "override"
_SHADOW_SALT = "shadow"
"""Apart from every rollout's salt, so that what is mirrored is a fair sample of both arms."""


@dataclass(frozen=True, slots=True)
class Choice:
    """``weight`` is the canary's, in an experiment the arm's own.

    ``rollout`` names a rollout or an experiment; None where the outcome says nothing: none runs, or the client chose.
    """

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


class StartingModelError(ServingError):
    """The request names a revision that does not answer yet, or not again after a crash."""


class ForbiddenChoiceError(ServingError):
    """The caller may not choose a revision."""


def unit_of(headers: Mapping[bytes, str], body: Mapping[str, Any], caller: str | None, nonce: str) -> str:
    """What is randomised: the user or session that the request names, else its API key, else the request itself.

    Named by a header of ``UNIT_HEADERS`` or a member of ``UNIT_MEMBERS``, the first that is there. Keys are apart from
    users of the same name: no user's name keeps a NUL.
    """
    for header in UNIT_HEADERS:
        if named := headers.get(header):
            return named.replace("\x00", "")
    for member in UNIT_MEMBERS:
        value = body.get(member)
        if isinstance(value, str) and value:
            return value.replace("\x00", "")
    return nonce if caller is None else f"key\x00{caller}"


def may_choose(scopes: Collection[str] | None) -> bool:
    """Whether a caller may name a revision. ``scopes`` is None where no keys are configured: then everybody may."""
    return scopes is None or OVERRIDE_SCOPE in scopes


def shadow_of(nonce: str, weights: Weights) -> str | None:
    """The revision that is to be asked too, for this request."""
    if weights.shadow is None or unit_position(nonce, _SHADOW_SALT) >= weights.shadow_share:
        return None
    return weights.shadow


def choose(
    model: str | None,
    unit: str,
    weights: Weights,
    running: Collection[str],
    starting: Collection[str],
    override: str | None,
    may_override: bool,
) -> Choice:
    """The arm and revision of a request.

    ``model`` is None, ``serin`` or the name that stable or canary carry before their ``@``: the split decides. A
    revision (``name@digest``, or a prefix of one), as ``override`` or as ``model``, is served as asked, outside of any
    rollout.

    Raises:
        NoStableError: nothing has been deployed yet.
        UnknownModelError: no such model or revision runs.
        StartingModelError: the revision that the caller named will run.
        ForbiddenChoiceError: the caller named a revision, and may not.
    """
    if override is not None or (model is not None and "@" in model):
        if not may_override:
            raise ForbiddenChoiceError(
                f"this key may not choose a revision: it needs the scope {OVERRIDE_SCOPE!r}; without "
                f"{OVERRIDE_HEADER.decode()}, and with {PRODUCTION!r} as the model, production answers"
            )
        return _chosen_by_client(override or model or "", weights, running, starting)
    if weights.stable is None:
        raise NoStableError("no revision is deployed: run 'serin deploy REVISION'")
    if model is not None and model != PRODUCTION:
        names = {r.partition("@")[0] for r in weights.revisions()}
        if model not in names:
            raise _unknown(model, {PRODUCTION} | names | set(running))
    arm = assign(unit, weights.salt, weights.arms())
    if arm == "canary" and weights.canary is not None:
        return Choice("canary", weights.canary, weights.canary_weight, weights.rollout, fallback=weights.stable)
    if arm in weights.variants:
        return Choice(arm, arm, weights.variants[arm], weights.experiment, fallback=weights.stable)
    if weights.experiment is not None:
        return Choice("stable", weights.stable, weights.arms()["stable"], weights.experiment)
    return Choice("stable", weights.stable, weights.canary_weight, weights.rollout)


def _chosen_by_client(model: str, weights: Weights, running: Collection[str], starting: Collection[str]) -> Choice:
    known = set(running) | weights.revisions()
    matches = sorted(revision for revision in known if revision.startswith(model))
    if not matches and any(revision.startswith(model) for revision in starting):
        raise StartingModelError(f"model {model!r} is starting: try again")
    if len(matches) != 1:
        raise _unknown(model, known)
    arm = "canary" if matches[0] == weights.canary else "stable"
    return Choice(arm, matches[0], weights.canary_weight, rollout=None)


def _unknown(model: str, known: Collection[str]) -> UnknownModelError:
    return UnknownModelError(f"model {model!r} does not run here; these do: {', '.join(sorted(known)) or 'none'}")
