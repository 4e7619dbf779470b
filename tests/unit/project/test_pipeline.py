from pathlib import Path
from typing import Any

import yaml

from serin.project.pipeline import pipeline_text

ROOT = Path(__file__).parents[3]
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
KEYS = ("artifacts", "metrics", "plots")
OURS = PIPELINE["stages"]


def stages(base_folder: str | None, data: list[str]) -> Any:
    return yaml.safe_load(pipeline_text("law-qa", base_folder, data))["stages"]


def test_the_stages_are_those_of_the_repository_but_for_base_and_data() -> None:
    found = stages("../model", ["data/a.csv"])
    assert list(found) == list(OURS)
    for name, stage in found.items():
        ours = OURS[name]
        assert {k: v for k, v in stage.items() if k != "deps"} == {k: v for k, v in ours.items() if k != "deps"}
        made = [dep for dep in ours["deps"] if dep.startswith("artifacts/")]
        assert [dep for dep in stage["deps"] if dep.startswith("artifacts/")] == made


def test_figures_and_curves_are_shown_from_the_same_places() -> None:
    made = yaml.safe_load(pipeline_text("law-qa", "../model", []))
    assert {key: made[key] for key in KEYS} == {key: PIPELINE[key] for key in KEYS}


def test_base_and_data_are_watched() -> None:
    found = stages("../model", ["data/a.csv", "raw"])
    assert found["base"]["deps"] == ["../model"]
    assert found["prepare"]["deps"] == ["artifacts/base", "data/a.csv", "raw"]


def test_a_hub_id_and_data_in_s3_are_no_files() -> None:
    found = stages(None, [])
    assert "deps" not in found["base"]
    assert found["prepare"]["deps"] == ["artifacts/base"]


def test_a_path_that_looks_like_a_param_is_a_path() -> None:
    assert stages(None, ["data/${x}.csv"])["prepare"]["deps"][1] == "data/\\${x}.csv"
