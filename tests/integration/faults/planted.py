"""What a planted record is, and what ``prepare`` must make of each fault."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from . import alter
from .private import PRIVATE
from .records import WITH_ROLES, Record

LONGEST_RECORD_BYTES = 24_576
"""A record above this is too large; the others stay well below."""
LONGEST_TOKENS = 4000
"""A conversation above this is too long; the others stay below half of it."""

_COPIED = frozenset({"exact_duplicate", "near_duplicate"})
_LINES = ("tickets", "agents", "forum")

REJECTED: Mapping[str, frozenset[str]] = {
    "exact_copy": _COPIED,
    "near_copy": _COPIED,
    "leak": _COPIED,
    "contamination": frozenset({"benchmark"}),
    "strange_role": frozenset({"unknown_role"}),
    "wrong_order": frozenset({"role_order"}),
    "no_answer": frozenset({"empty_answer"}),
    "no_question": frozenset({"empty_turn"}),
    "nothing_learnt": frozenset({"nothing_to_train"}),
    "broken_line": frozenset({"not_json"}),
    "broken_bytes": frozenset({"not_utf8"}),
    "huge": frozenset({"too_large"}),
    "other_format": frozenset({"mixed_format"}),
    "no_format": frozenset({"unknown_format"}),
    "open_quote": frozenset({"broken_quotes"}),
    "lost_column": frozenset({"wrong_columns"}),
    "long": frozenset({"too_long"}),
    "foreign": frozenset({"language"}),
}
"""Faults for which a record must go, and the reasons that may be given."""
COPIED_FROM: Mapping[str, str] = {"leak": "test", "contamination": "benchmark"}
"""Faults that copy a record of a given file; ``exact_copy`` and ``near_copy`` copy one of the corpus."""
IN_THE_FILE = ("broken_line", "broken_bytes", "huge", "other_format", "no_format", "open_quote", "lost_column")
"""Faults of a record as it stands in its file, rather than of its turns."""

MENDED: Mapping[str, str] = {
    "mojibake": "encoding",
    "decomposed": "normalisation",
    "hidden": "invisible",
    "marked_up": "markup",
    "stretched": "white_space",
}
"""Faults that must be mended, and what the mending is called."""


def _among(*shapes: str) -> Callable[[Record], bool]:
    return lambda record: record.shape in shapes


def _any(_: Record) -> bool:
    return True


_FITS: Mapping[str, Callable[[Record], bool]] = {
    "strange_role": _among(*WITH_ROLES),
    "wrong_order": _among(*WITH_ROLES),
    "nothing_learnt": _among("agents"),
    "broken_line": _among(*_LINES),
    "broken_bytes": _among(*_LINES, "faq", "export", "kundschaft"),
    "huge": _among(*_LINES, "faq"),
    "other_format": _among(*_LINES, "faq"),
    "no_format": _among(*_LINES, "faq"),
    "open_quote": _among("export", "kundschaft"),
    "lost_column": _among("export", "kundschaft"),
    "other_number": lambda record: any(char in "23456789" for char in record.asked.splitlines()[0]),
    "decomposed": lambda record: any(alter.decomposed(turn.content) != turn.content for turn in record.turns),
}


def can_have(name: str, record: Record) -> bool:
    """Whether a record's shape and text allow a fault."""
    return _FITS.get(name, _any)(record)


@dataclass(frozen=True, slots=True)
class Planted:
    """A record as it is written, beside what must come out of it.

    ``clean`` is that where it must be kept. ``name`` is its fault, or its decoy where it only looks like one (``fault`` is
    None then). ``like`` is the key of the record that it copies, ``type`` and ``values`` what nobody may read in any output.
    """

    written: Record
    clean: Record
    name: str | None = None
    like: str | None = None
    type: str | None = None
    values: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What tells the record from all others."""
        return self.written.key

    @property
    def fault(self) -> str | None:
        """Its fault, if it has one."""
        return self.name if self.name in (*REJECTED, *MENDED, *PRIVATE) else None


@dataclass(frozen=True, slots=True)
class Corpus:
    """Everything that is written: records by the file that they stand in, and the rates that were drawn."""

    records: Mapping[str, Sequence[Planted]]
    rates: Mapping[str, float]

    def __iter__(self) -> Iterator[Planted]:
        """Every record that counts: all but those of the benchmark."""
        for shape, part in self.records.items():
            if shape != "benchmark":
                yield from part
