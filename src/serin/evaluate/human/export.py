"""``serin evaluate --human export``: blind sheets for raters, and the key that stays here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serin.clients.files import output_folder, read_json, read_jsonl, read_manifest
from serin.core.errors import InputError, UsageError
from serin.evaluate.draw import draw
from serin.evaluate.human.form import render_form
from serin.evaluate.human.key import KEY, Key, Known, key_of, write_key
from serin.evaluate.human.sheet import Question, make_sheet
from serin.evaluate.human.spreadsheet import write_sheet

SHEETS = "sheets"
_SECRET_BYTES = 16


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    sheets: Path
    """The folder that raters get of: ``rater-1.csv``, ``rater-1.html`` and so on."""
    key: Path
    questions: int
    same: int
    """Of these, questions with the same answer twice: they stand in no sheet, and count as ties."""


def export_sheets(
    evaluation: Path,
    out: Path,
    questions: int,
    raters: int,
    criteria: str,
    secret: bytes,
    over: str = "base",
) -> Exported:
    """Write a sheet for each rater, as a spreadsheet and as a form, and the key to them.

    Args:
        evaluation: what ``serin evaluate`` wrote.
        out: a new folder; the key lies in it, and the sheets in its folder ``sheets``.
        questions: how many test questions, drawn by the hash of their ids; all where there are fewer.
        raters: how many people compare; each gets a sheet of all the questions, in an order of its own.
        criteria: what raters are told to look at.
        secret: random bytes, at least 16, that decide on orders and sides. Never written, and not to be used again.
        over: the model that the candidate is compared with.

    Raises:
        UsageError: ``out`` holds something already, or there is no such model, or nothing to compare.
        InputError: the evaluation is incomplete or damaged.
    """
    if len(secret) < _SECRET_BYTES:
        raise ValueError(f"a secret of {len(secret)} bytes could be guessed: expected at least {_SECRET_BYTES}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(
            f"{out} holds something already: name a new folder, since ratings cannot be read without the key that they began with"
        )
    manifest = read_manifest(evaluation, "evaluation")
    verdict = read_json(evaluation / "verdict.json")
    all_questions = _read(evaluation / "answers.jsonl", over)
    drawn = [all_questions[i] for i in draw([q.id for q in all_questions], questions, "people")]
    compared = [question for question in drawn if not question.is_same]
    if not compared:
        raise UsageError(
            f"{len(drawn)} questions were drawn, and {over} answers none of them otherwise: nothing to compare"
        )
    sheets = [make_sheet(compared, rater, secret) for rater in range(1, raters + 1)]
    key = Key(
        digest=str(verdict["digest"]),
        over=over,
        against=verdict["against"],
        evaluation=manifest.digest,
        questions={q.id: Known(q.group, q.slices, q.is_same) for q in drawn},
        sheets={sheet.id: key_of(sheet) for sheet in sheets},
    )
    with output_folder(out) as scratch:
        folder = scratch / SHEETS
        folder.mkdir()
        for sheet in sheets:
            write_sheet(sheet, folder / f"rater-{sheet.rater}.csv")
            (folder / f"rater-{sheet.rater}.html").write_text(render_form(sheet, criteria), encoding="utf-8")
        write_key(key, scratch / KEY)
    return Exported(out / SHEETS, out / KEY, len(drawn), len(drawn) - len(compared))


def _read(path: Path, over: str) -> list[Question]:
    """The test questions. Raises UsageError where ``over`` did not answer them, InputError where a line is none."""
    return list(_questions(read_jsonl(path), path, over))


def _questions(lines: Iterable[Mapping[str, Any]], path: Path, over: str) -> Iterable[Question]:
    for number, line in enumerate(lines, 1):
        try:
            if line["set"] != "test":
                continue
            models = line["models"]
            if over not in models:
                raise UsageError(
                    f"{over} answered nothing in {path}: it has {', '.join(sorted(models))}; compare with another"
                )
            yield Question(
                id=str(line["id"]),
                group=str(line.get("group", line["id"])),
                slices={str(field): str(value) for field, value in line["slices"].items()},
                text=str(line["question"]),
                reference=str(line["reference"]),
                candidate=str(models["candidate"]["text"]),
                other=str(models[over]["text"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path}:{number} is no answer ({error!r}): run 'serin evaluate' again") from error
