"""Which split a record belongs to: a pure function of its key, so that new data never moves old records."""

import hashlib
from typing import Literal

from serin.core.params import SplitParams

Split = Literal["train", "validation", "test", "control"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test", "control")


def position(salt: str, kind: str, key: str) -> float:
    """Where a key stands in [0, 1): uniform, and independent between salts and kinds (SHA-256, first 53 bits)."""
    digest = hashlib.sha256(f"{salt}\x00{kind}\x00{key}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / (1 << 53)


def split_of(text: str, group: str | None, params: SplitParams) -> Split:
    """The split of a record with this normalised user text, in this group.

    A whole group is held out as ``control`` by the group's own hash; a record without a group is a group of its own. The
    other records are drawn one by one, by user text and group, or with ``by: group`` a whole group at once.
    """
    own = text if group is None else f"{group}\x00{text}"
    if position(params.salt, "group", own if group is None else group) < params.control:
        return "control"
    place = position(params.salt, "record", own if group is None or params.by == "record" else group)
    if place < params.test:
        return "test"
    return "validation" if place < params.test + params.validation else "train"
