"""What serving is told, and what is seen of it: the split, which revisions shall run, and how they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from serin.core.errors import InputError

SCALE = ("replicas", "autoscaling")
"""Settings of a revision that may change while it runs; any other would restart it under its clients."""


@dataclass(frozen=True, slots=True)
class Weights:
    """The split. ``version`` 0 and no ``stable`` mean that nothing has been deployed yet.

    Either ``rollout`` moves units to ``canary``, or ``experiment`` holds ``variants`` (revision to weight) at what they
    are; ``stable`` has the rest.
    """

    version: int = 0
    rollout: str | None = None
    salt: str = ""
    stable: str | None = None
    canary: str | None = None
    canary_weight: float = 0.0
    experiment: str | None = None
    variants: Mapping[str, float] = field(default_factory=dict)
    shadow: str | None = None
    """A revision that is asked too, and whose answers nobody gets."""
    shadow_share: float = 0.0
    """The share of requests that are mirrored to ``shadow``."""
    retiring: tuple[str, ...] = ()
    """Revisions that are about to be removed: they may still run, and nobody is sent to them any more."""

    def arms(self) -> dict[str, float]:
        """Arm to weight, in the order that ``core.traffic.assign`` expects. A variant's arm is its revision."""
        others = {"canary": self.canary_weight} if self.canary is not None else dict(self.variants)
        return {"stable": 1.0 - sum(others.values()), **others}

    def revisions(self) -> set[str]:
        """Every revision that the split may answer with."""
        return {r for r in (self.stable, self.canary, *self.variants) if r is not None}

    def use_of(self, revision: str) -> str | None:
        """What a revision is needed for, in words; None where nobody is sent to it."""
        uses = {
            "stable": revision == self.stable,
            f"the canary of rollout {self.rollout}": revision == self.canary,
            f"a variant of experiment {self.experiment}": revision in self.variants,
            "the shadow": revision == self.shadow,
        }
        return next((use for use, holds in uses.items() if holds), None)


@dataclass(frozen=True, slots=True)
class Declared:
    """One revision that shall run."""

    prefix: str
    """Where in storage its model lies."""
    path: str | None = None
    """The model's folder on this machine; None where whoever runs it fetches it from storage."""
    lineage: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What it runs on, as ``serve.revisions`` of params has it; what is left out is that section's default."""


@dataclass(frozen=True, slots=True)
class Topology:
    """Which revisions shall run."""

    version: int = 0
    revisions: Mapping[str, Declared] = field(default_factory=dict)

    def with_revision(self, revision: str, declared: Declared) -> "Topology":
        """The next version, with ``revision`` in it."""
        return Topology(self.version + 1, {**self.revisions, revision: declared})

    def without_revision(self, revision: str) -> "Topology":
        """The next version, without ``revision``."""
        return Topology(self.version + 1, {name: entry for name, entry in self.revisions.items() if name != revision})


@dataclass(frozen=True, slots=True)
class RevisionStatus:
    """What was seen last: ``starting``, ``ready``, ``failed`` or ``draining``, and why."""

    state: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a gateway goes by."""

    weights: Weights = Weights()
    ready: frozenset[str] = frozenset()
    """Revisions that answer."""
    starting: frozenset[str] = frozenset()
    """Those that do not yet, or not again after a crash."""


def seen_in(weights: Weights, status: Mapping[str, RevisionStatus]) -> Seen:
    """What gateways go by, out of how revisions are."""
    ready, starting = (
        frozenset(name for name, entry in status.items() if entry.state == state) for state in ("ready", "starting")
    )
    return Seen(weights, ready, starting)


def weights_from(value: Any) -> Weights:
    """Weights from their JSON value. Raises InputError where it is none."""
    try:
        weights = Weights(**{**value, "retiring": tuple(value.get("retiring", ()))})
        shares = (
            weights.canary_weight,
            weights.shadow_share,
            *weights.variants.values(),
            sum(weights.variants.values()),
        )
        valid = isinstance(weights.version, int) and all(0.0 <= share <= 1.0 for share in shares)
    except (AttributeError, TypeError) as error:
        raise InputError(f"the weights are damaged ({error}): remove them and deploy again") from error
    if not valid:
        raise InputError(f"the weights are damaged ({weights}): every share must be in [0, 1]")
    return weights


def declared_from(value: Any) -> Declared:
    """A revision's declaration from its JSON value. Raises InputError where it is none."""
    try:
        return Declared(**value)
    except TypeError as error:
        raise InputError(f"a declared revision is damaged ({error}): undeploy it and deploy it again") from error
