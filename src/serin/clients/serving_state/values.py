"""What serving is told, and what is seen of it: the split, which revisions shall run, and how they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serin.core.errors import InputError


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

    def arms(self) -> dict[str, float]:
        """Arm to weight, in the order that ``core.traffic.assign`` expects. A variant's arm is its revision."""
        others = {"canary": self.canary_weight} if self.canary is not None else dict(self.variants)
        return {"stable": 1.0 - sum(others.values()), **others}

    def revisions(self) -> set[str]:
        """Every revision that the split may answer with."""
        return {r for r in (self.stable, self.canary, *self.variants) if r is not None}


@dataclass(frozen=True, slots=True)
class Topology:
    """Revision to what it needs: ``path`` (the model's folder) and ``lineage``."""

    version: int = 0
    revisions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def with_revision(self, revision: str, path: Path, lineage: Mapping[str, Any]) -> "Topology":
        """The next version, with ``revision`` in it."""
        entry = {"path": str(path), "lineage": dict(lineage)}
        return Topology(self.version + 1, {**self.revisions, revision: entry})

    def without_revision(self, revision: str) -> "Topology":
        """The next version, without ``revision``."""
        return Topology(self.version + 1, {name: entry for name, entry in self.revisions.items() if name != revision})


@dataclass(frozen=True, slots=True)
class RevisionStatus:
    """What was seen last: ``starting``, ``ready`` or ``failed``, and why."""

    state: str
    message: str = ""


def weights_from(value: Any) -> Weights:
    """Weights from their JSON value. Raises InputError where it is none."""
    try:
        weights = Weights(**value)
        shares = (
            weights.canary_weight,
            weights.shadow_share,
            *weights.variants.values(),
            sum(weights.variants.values()),
        )
        valid = isinstance(weights.version, int) and all(0.0 <= share <= 1.0 for share in shares)
    except (AttributeError, TypeError) as error:
        raise InputError(f"weights.json is damaged ({error}): remove it and deploy again") from error
    if not valid:
        raise InputError(f"weights.json is damaged ({weights}): every share must be in [0, 1]")
    return weights
