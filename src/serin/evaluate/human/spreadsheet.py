"""Sheets and ratings as CSV that spreadsheets open and save without harm."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from serin.core.errors import InputError
from serin.evaluate.human.sheet import Item, Sheet, shown

RATED = ("sheet", "item", "better", "comment")
"""Columns that ratings need; the form writes no others."""
TEXTS = ("question", "reference", "answer 1", "answer 2")
_ASKED = "better (1 / 2 / 0 if equal)"
_COLUMNS = ("sheet", "item", *TEXTS, _ASKED, "comment")

# A cell that begins so is a formula to spreadsheets (OWASP, "CSV Injection"); one without a letter may become a number or date.
_FORMULA = re.compile(r"[=+\-@＝＋－＠\t\r\n']")
_NUMBER = re.compile(r"[\W\d_]+")
_GUARD = "'"
_DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True)
class Row:
    """What a rater returned for one item."""

    line: int
    sheet: str
    item: str
    better: str
    comment: str
    texts: Item | None
    """As they came back, where the file has them."""


def write_sheet(sheet: Sheet, path: Path) -> None:
    """Write the sheet with an empty column for the rating: UTF-8 with a byte order mark, which Excel needs, all cells quoted."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(_COLUMNS)
        for number, item in enumerate(sheet.items, 1):
            texts = (item.question, item.reference, item.answer_1, item.answer_2)
            writer.writerow([sheet.id, number, *map(guarded, texts), "", ""])


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a sheet that was filled in, or of the form's file; spreadsheets may have changed delimiter and encoding.

    Raises:
        InputError: no such file, neither UTF-8, UTF-16 nor GB 18030, or columns are missing.
    """
    text = _decoded(path)
    first = text.lstrip().partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        table = [(lines.line_num, cells) for cells in lines if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise InputError(f"{path}:{lines.line_num} is not CSV ({error}): save it as 'CSV UTF-8'") from error
    names = [_plain(name).partition("(")[0].strip() for name in table[0][1]] if table else []
    if missing := [name for name in RATED[:3] if name not in names]:
        raise InputError(f"{path} has no column {', '.join(missing)}: expected a sheet that was filled in, as CSV")
    has_texts = set(TEXTS) <= set(names)
    for line, cells in table[1:]:
        row = dict(zip(names, cells, strict=False))
        yield Row(
            line=line,
            sheet=_plain(row.get("sheet", "")),
            item=_plain(row.get("item", "")),
            better=_plain(row.get("better", "")),
            comment=unguarded(row.get("comment", "").strip()),
            texts=_texts(row) if has_texts else None,
        )


def guarded(text: str) -> str:
    """The text as a cell that spreadsheets take for text: an apostrophe goes before what they would not."""
    risky = _FORMULA.match(text) or _NUMBER.fullmatch(text)
    return f"{_GUARD}{text}" if risky else text


def unguarded(cell: str) -> str:
    """The text that ``guarded`` made a cell of."""
    text = cell.removeprefix(_GUARD)
    return text if guarded(text) == cell else cell


def _texts(row: Mapping[str, str]) -> Item:
    question, reference, answer_1, answer_2 = (shown(unguarded(shown(row.get(name, "")))) for name in TEXTS)
    return Item(question, reference, answer_1, answer_2, "und")


def _plain(cell: str) -> str:
    """A short cell as people mean it: full-width digits of Chinese keyboards are digits, ``1.0`` is 1."""
    return unguarded(unicodedata.normalize("NFKC", cell).strip()).strip().removesuffix(".0")


def _decoded(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): name the files that raters returned") from error
    # Excel writes the encoding of its system's language unless told otherwise; of those, Chinese can be told by its form.
    encodings = ("utf-16",) if data.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "gb18030")
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise InputError(f"{path} is not UTF-8: save it as 'CSV UTF-8'")
