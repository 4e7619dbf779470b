"""Tables for dvc plots: every figure that was measured, and nothing in place of one that was not."""

import copy
import csv
from pathlib import Path

import pytest

from serin.evaluate.report.plots import write_plots

from . import example

ANSWERS = example.answers()
METRICS = example.metrics(ANSWERS)


@pytest.fixture(scope="module")
def plots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation")
    write_plots(METRICS, ANSWERS, folder)
    return folder / "plots"


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_every_gain_stands_in_one_table_with_its_interval(plots: Path) -> None:
    rows = read(plots / "gains.tsv")
    gains = METRICS["gains"]
    assert len(rows) == sum(
        len(p) for by_set in gains.values() for by_metric in by_set.values() for p in by_metric.values()
    )
    first = rows[0]
    assert (first["set"], first["metric"], first["slice"], first["over"]) == ("test", "token_f1", "all", "base")
    wanted = gains["base"]["test"]["token_f1"]["all"]
    assert [float(first[key]) for key in ("gain", "ci_low", "ci_high", "p_adjusted")] == [
        wanted[key] for key in ("gain", "ci_low", "ci_high", "p_adjusted")
    ]


def test_a_metric_s_means_and_gains_name_slice_and_model(plots: Path) -> None:
    means = {row["of"]: float(row["mean"]) for row in read(plots / "token_f1" / "means.tsv")}
    assert means["language=zh production"] == METRICS["means"]["production"]["test"]["token_f1"]["language=zh"]
    gains = {row["of"]: float(row["gain"]) for row in read(plots / "token_f1" / "gains.tsv")}
    assert gains["all over base"] == METRICS["gains"]["base"]["test"]["token_f1"]["all"]["gain"]
    assert {of.split()[0] for of in (*means, *gains)} == {"all", "language=en", "language=zh"}, (
        "finer slices crowd a plot"
    )
    assert len(gains) == 2 * len(means) / 3


def test_what_was_not_measured_is_not_there(plots: Path) -> None:
    assert {row["of"] for row in read(plots / "bertscore" / "means.tsv")} == {
        f"language=en {m}" for m in example.MODELS
    }
    assert all("" not in row.values() for path in plots.rglob("*.tsv") for row in read(path))


def test_differences_go_from_the_worst_question_to_the_best(plots: Path) -> None:
    rows = read(plots / "token_f1" / "over_production.tsv")
    differences = [float(row["difference"]) for row in rows]
    assert len(rows) == 198
    assert differences == sorted(differences)
    assert differences[0] < 0 < differences[-1]
    assert float(rows[-1]["share"]) == 1.0


def test_a_metric_without_scores_of_single_questions_has_no_table_of_differences(tmp_path: Path) -> None:
    write_plots(METRICS, [], tmp_path)
    assert (tmp_path / "plots/token_f1/gains.tsv").exists()
    assert not (tmp_path / "plots/token_f1/over_base.tsv").exists()


def test_many_questions_are_thinned_to_a_thousand_points_the_ends_among_them(tmp_path: Path) -> None:
    (first, *_) = ANSWERS
    answers = [copy.deepcopy(first) for _ in range(2500)]
    for n, answer in enumerate(answers):
        answer["models"]["candidate"]["scores"]["token_f1"] = answer["models"]["base"]["scores"]["token_f1"] + n
    write_plots(METRICS, answers, tmp_path)
    rows = read(tmp_path / "plots/token_f1/over_base.tsv")
    assert len(rows) <= 1000
    assert [float(rows[i]["difference"]) for i in (0, -1)] == [0, 2499]
    assert [float(rows[i]["share"]) for i in (0, -1)] == [0.0004, 1.0]


def test_without_production_there_is_no_table_of_it(tmp_path: Path) -> None:
    metrics = copy.deepcopy(METRICS)
    del metrics["means"]["production"], metrics["gains"]["production"]
    write_plots(metrics, ANSWERS, tmp_path)
    assert (tmp_path / "plots/token_f1/over_base.tsv").exists()
    assert not (tmp_path / "plots/token_f1/over_production.tsv").exists()
    assert "production" not in (tmp_path / "plots/gains.tsv").read_text()
