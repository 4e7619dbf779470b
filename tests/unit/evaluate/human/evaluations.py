"""A small evaluation as ``serin evaluate`` writes it, and raters who fill in its sheets."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from serin.clients.files import output_folder, seal, write_json, write_jsonl
from serin.evaluate.human.export import Exported, export_sheets

DIGEST = "c" * 64
SECRET = b"0123456789abcdef0123456789abcdef"
CRITERIA = "Which answer is more correct, judged by the reference?"


def line(number: int, **changes: Any) -> dict[str, Any]:
    """An answered question; ``candidate`` and ``base`` in ``changes`` are their texts."""
    texts = {
        "candidate": changes.pop("candidate", f"Article {number} says: {number} months."),
        "base": changes.pop("base", f"It depends, about {number}."),
    }
    return {
        "set": "test",
        "id": f"q{number}",
        "slices": {"language": "zh" if number % 2 else "en"},
        "question": f"What does rule {number} say?",
        "reference": f"Article {number}: {number} months.",
        "models": {model: {"text": text, "tokens": 5, "stopped": True, "scores": {}} for model, text in texts.items()},
        **changes,
    }


def write_evaluation(folder: Path, lines: Sequence[dict[str, Any]]) -> Path:
    with output_folder(folder) as scratch:
        write_jsonl(scratch / "answers.jsonl", lines)
        write_json(scratch / "verdict.json", {"digest": DIGEST, "against": None, "passed": True, "rules": []})
        seal(scratch, kind="evaluation")
    return folder


def export(folder: Path, lines: Sequence[dict[str, Any]], raters: int = 2, questions: int = 100) -> Exported:
    evaluation = write_evaluation(folder / "evaluation", lines)
    return export_sheets(evaluation, folder / "human", questions, raters, CRITERIA, SECRET)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def fill(path: Path, say: Callable[[dict[str, str]], str]) -> Path:
    """Fill in a sheet in place; ``say`` gives the rating from its row."""
    rows = rows_of(path)
    for row in rows:
        row["better (1 / 2 / 0 if equal)"] = say(row)
    write_rows(path, rows)
    return path


def write_rows(path: Path, rows: Sequence[dict[str, str]], **how: Any) -> None:
    with path.open("w", encoding=how.pop("encoding", "utf-8-sig"), newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), **how)
        writer.writeheader()
        writer.writerows(rows)


def prefers_candidate(row: dict[str, str]) -> str:
    return "1" if row["answer 1"].startswith("Article") else "2"


def data_in(form: Path) -> Any:
    """What a form knows."""
    text = form.read_text(encoding="utf-8")
    return json.loads(text.partition('<script type="application/json" id="sheet">')[2].partition("</script>")[0])
