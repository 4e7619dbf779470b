"""Ratings as they came back, checked against the key: all faults at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from serin.core.errors import InputError
from serin.evaluate.human.key import KEY, Key, KeyItem
from serin.evaluate.human.spreadsheet import Row, read_rows

Preference = Literal["candidate", "other", "tie"]

_SHOWN_FAULTS = 40
_SHOWN_ITEMS = 8


@dataclass(frozen=True, slots=True)
class Rating:
    """One rater's opinion on one question."""

    rater: int
    question: str
    preferred: Preference
    named: int
    """The answer that was named, 1 or 2; 0: neither."""
    comment: str


def read_ratings(files: Sequence[Path], key: Key, partial: bool = False) -> list[Rating]:
    """The ratings in the files, in the order of raters and items; with ``partial``, items without one are left out.

    Raises:
        InputError: files that cannot be read; rows of an unknown sheet or item; a sheet in two files; an item twice; a rating
            other than 1, 2 or 0; texts that were changed; and, without ``partial``, items that were not rated.
    """
    faults: list[str] = []
    origins: dict[str, Path] = {}
    ratings: list[Rating] = []
    for path in files:
        try:
            rows = list(read_rows(path))
        except InputError as error:
            faults.append(str(error))
            continue
        by_sheet: dict[str, list[Row]] = {}
        for row in rows:
            by_sheet.setdefault(row.sheet, []).append(row)
        if not by_sheet:
            faults.append(f"{path} has no ratings")
        for sheet, of_sheet in by_sheet.items():
            if sheet not in key.sheets:
                faults.append(
                    f"{path}:{of_sheet[0].line} is of the sheet {sheet!r}, which this {KEY} does not know: take the key of "
                    "the same export"
                )
            elif sheet in origins:
                faults.append(
                    f"{path} is of rater {key.sheets[sheet].rater}, and so is {origins[sheet]}: give each person a sheet of "
                    "their own, and name each file once"
                )
            else:
                origins[sheet] = path
                ratings += _read_sheet(path, of_sheet, key, sheet, partial, faults)
    if faults:
        more = [f"and {len(faults) - _SHOWN_FAULTS} more"] if len(faults) > _SHOWN_FAULTS else []
        lines = "\n".join(f"  {fault}" for fault in [*faults[:_SHOWN_FAULTS], *more])
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise InputError(f"the ratings have {count}:\n{lines}")
    return sorted(ratings, key=lambda rating: rating.rater)


def _read_sheet(
    path: Path, rows: Iterable[Row], key: Key, sheet: str, partial: bool, faults: list[str]
) -> list[Rating]:
    rater, items = key.sheets[sheet].rater, key.sheets[sheet].items
    found: dict[int, Row] = {}
    for row in rows:
        where = f"{path}:{row.line}"
        number = int(row.item) if row.item.isdecimal() else 0
        if not 1 <= number <= len(items):
            faults.append(f"{where} has the item {row.item!r}: expected a number from 1 to {len(items)}")
        elif number in found:
            faults.append(f"{where} is item {number}, and so is line {found[number].line}: keep one of them")
        else:
            found[number] = row
            if row.better not in ("", "0", "1", "2"):
                faults.append(f"{where}, item {number}: better is {row.better!r}, expected 1, 2, or 0 if equal")
            if row.texts is not None and row.texts.digest != items[number - 1].texts:
                faults.append(
                    f"{where}, item {number}: its texts were changed; rate in the sheet as exported, and save it as 'CSV UTF-8'"
                )
    unrated = [number for number in range(1, len(items) + 1) if number not in found or not found[number].better]
    if unrated and not partial:
        shown = ", ".join(map(str, unrated[:_SHOWN_ITEMS])) + (", …" if len(unrated) > _SHOWN_ITEMS else "")
        faults.append(f"{path}: {len(unrated)} of {len(items)} items are not rated ({shown})")
    return [
        _rating(rater, row, items[number - 1]) for number, row in sorted(found.items()) if row.better in ("0", "1", "2")
    ]


def _rating(rater: int, row: Row, item: KeyItem) -> Rating:
    named = int(row.better)
    preferred: Preference = "tie" if named == 0 else "candidate" if named == item.candidate else "other"
    return Rating(rater, item.id, preferred, named, row.comment)
