"""The traffic split: which revision a unit gets. Pure, so every gateway replica and every machine agrees."""

import hashlib
import math
from collections.abc import Mapping


def unit_position(unit: str, salt: str) -> float:
    """Where a unit stands in [0, 1): uniform over units, independent between salts (SHA-256, first 53 bits)."""
    digest = hashlib.sha256(f"{salt}\x00{unit}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / (1 << 53)


def assign(unit: str, salt: str, weights: Mapping[str, float]) -> str:
    """The arm of a unit under weights that sum to 1, such as ``{"stable": 0.95, "canary": 0.05}``.

    With two arms the split is monotone: the canary holds the interval [0, w), so a unit that is in the canary at 5 %
    is still there at 25 %. Arms are laid out in the mapping's order reversed, the last one from zero.

    Raises:
        ValueError: no arms, a negative weight, or a sum that is not 1.
    """
    if not weights or any(w < 0 for w in weights.values()) or not math.isclose(sum(weights.values()), 1.0):
        raise ValueError(f"weights {dict(weights)}: expected non-negative numbers that sum to 1")
    position = unit_position(unit, salt)
    edge = 0.0
    arms = [arm for arm in reversed(list(weights)) if weights[arm] > 0]
    for arm in arms:
        edge += weights[arm]
        if position < edge:
            return arm
    return arms[-1]
