"""A run's figures and curves in its output, as ``dvc metrics`` and ``dvc plots`` read them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serin.clients.files import write_json
from serin.train.history import History

_MOST_POINTS = 2000


def write_curves(folder: Path, history: History, metrics: Mapping[str, Any]) -> None:
    """Write ``metrics.json``, ``training.tsv`` and ``validation.tsv``; and ``log.json``, the whole history.

    They come from the history, which checkpoints carry: so they are whole after a run that went on from one. A plot has at most
    2,000 points, the first and the last among them.
    """
    write_json(folder / "metrics.json", metrics)
    write_json(folder / "log.json", history.as_dict())
    stride = 1 if len(history.steps) <= _MOST_POINTS else -(-len(history.steps) // (_MOST_POINTS - 1))
    shown = [s for i, s in enumerate(history.steps) if i % stride == 0 or i == len(history.steps) - 1]
    _write_table(
        folder / "training.tsv",
        ("step", "loss", "learning_rate", "grad_norm"),
        [(s.step, s.loss, s.learning_rate, s.grad_norm) for s in shown],
    )
    _write_table(folder / "validation.tsv", ("step", "loss"), [(v.step, v.loss) for v in history.validations])


def _write_table(path: Path, head: tuple[str, ...], rows: list[tuple[float, ...]]) -> None:
    lines = ["\t".join(head), *("\t".join(str(value) for value in row) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
