import csv
from pathlib import Path

import pytest

from serin.clients.files import read_json
from serin.train.curves import write_curves
from serin.train.history import History, StepRecord, ValidationRecord


def history(steps: int) -> History:
    return History(
        [StepRecord(n, n / 7, 1 / n, 0.1 / n, 0.5, 40, 20) for n in range(1, steps + 1)],
        [ValidationRecord(n, n / 7, 2 / n, 9) for n in (1, steps)],
    )


def table(path: Path) -> list[dict[str, float]]:
    with path.open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file, delimiter="\t")]


def test_curves_are_the_history_float_for_float(tmp_path: Path) -> None:
    write_curves(tmp_path, history(3), {"steps": 3})
    assert table(tmp_path / "training.tsv") == [
        {"step": n, "loss": 1 / n, "learning_rate": 0.1 / n, "grad_norm": 0.5} for n in (1, 2, 3)
    ]
    assert table(tmp_path / "validation.tsv") == [{"step": n, "loss": 2 / n} for n in (1, 3)]
    assert History.from_dict(read_json(tmp_path / "log.json")) == history(3)
    assert read_json(tmp_path / "metrics.json") == {"steps": 3}


@pytest.mark.parametrize("steps", [2000, 2001, 20_000])
def test_a_plot_of_a_long_run_has_its_first_and_last_step_and_no_more_points_than_can_be_drawn(
    steps: int, tmp_path: Path
) -> None:
    write_curves(tmp_path, history(steps), {})
    shown = [row["step"] for row in table(tmp_path / "training.tsv")]
    assert (shown[0], shown[-1]) == (1, steps)
    assert 1000 <= len(shown) <= 2000
    assert len(read_json(tmp_path / "log.json")["steps"]) == steps
