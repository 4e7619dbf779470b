"""A user's own project, from a built wheel, on data of another domain: ``serin init``, then ``dvc repro``."""

import csv
import gzip
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.timeout(420)
ROOT = Path(__file__).parents[2]
STAGES = ["base", "prepare", "train", "merge", "evaluate", "publish"]
CARE = {
    "clean": "take a soft brush and lukewarm water, and dry it well afterwards",
    "adjust": "turn the small screw by a quarter and try again until nothing rubs",
    "replace": "loosen both bolts, slide the old one out and fit the new one hand-tight",
    "lubricate": "one drop on each moving joint is plenty, and wipe off the rest",
}
PARTS = {
    "chain": "a worn one skips under load",
    "saddle": "the rails must not creak",
    "brake cable": "frayed strands are a danger",
    "rear tyre": "cracks in the side wall mean it is due",
    "hub gear": "it likes thin oil only",
    "suspension fork": "the stanchions have to stay smooth",
    "bottom bracket": "play in it ruins the frame",
    "pedal": "mind that the left one has a left-hand thread",
    "headset": "it should turn without a notch",
    "dynamo lamp": "the contacts corrode in winter",
    "mudguard": "a rattle comes from its stays",
    "quick release": "its lever should leave a mark on the palm",
    "derailleur": "a bent hanger cannot be set straight by screws",
    "rim": "hop and wobble are mended at the spokes",
    "luggage rack": "its bolts work loose on cobbles",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a user would install, built from this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return next(folder.glob("serin-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """What the environment of a user who has installed the wheel adds: its modules and its command come first."""
    site = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--offline", "--no-deps"]
    subprocess.run([*command, "--python", sys.executable, "--target", str(site), str(wheel)], check=True)
    programs = os.pathsep.join([str(site / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {"PATH": programs, "PYTHONPATH": str(site)}


def run(folder: Path, environment: Mapping[str, str], *command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def repro(folder: Path, environment: Mapping[str, str]) -> list[str]:
    """Run ``dvc repro`` and return the stages that ran."""
    done = run(folder, environment, sys.executable, "-m", "dvc", "repro")
    assert done.returncode == 0, done.stdout + done.stderr
    return re.findall(r"Running stage '(\w+)'", done.stdout)


def change(folder: Path, section: str, **values: Any) -> None:
    path = folder / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params[section].update(values)
    path.write_text(yaml.safe_dump(params))


def write_data(folder: Path) -> int:
    """A workshop's chats, packed, and a table whose columns have names of their own; returns how many records."""
    answers = [
        (f"How do I {task} the {part} of my bicycle?", f"To {task} the {part}: {how}; {why}.")
        for part, why in PARTS.items()
        for task, how in CARE.items()
    ]
    chats = [
        {"conversations": [{"from": "human", "value": asked}, {"from": "gpt", "value": said}]}
        for asked, said in answers[:40]
    ]
    (folder / "chats.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, chats)).encode()))
    with (folder / "counter.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, delimiter=";")
        table.writerow(["Ticket", "Customer asks", "Mechanic says"])
        table.writerows([f"T{n}", asked, said] for n, (asked, said) in enumerate(answers[40:]))
    return len(answers)


@pytest.fixture(scope="module")
def workshop(installed: Mapping[str, str], tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with raw data beside it, in which ``serin init`` has started a project."""
    folder = tmp_path_factory.mktemp("workshop")
    write_data(folder)
    arguments = ["bicycle-care", "--data", "chats.jsonl.gz", "counter.csv", "--base", str(tiny_base)]
    done = run(folder, installed, "serin", "init", *arguments)
    assert done.returncode == 0, done.stderr
    assert "counter.csv: columns (user = Customer asks, assistant = Mechanic says), 20 records" in done.stdout
    assert "chats.jsonl.gz: sharegpt, 40 records; 40 looked at: 40 en" in done.stdout
    return folder / "bicycle-care"


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    source = ROOT / "src"
    files = {
        p.relative_to(source).as_posix() for p in source.rglob("*") if p.is_file() and "__pycache__" not in p.parts
    }
    assert {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name} == files


def test_the_installed_code_is_that_of_the_wheel(installed: Mapping[str, str], tmp_path: Path) -> None:
    found = run(tmp_path, installed, sys.executable, "-c", "import serin; print(serin.__file__)").stdout.strip()
    assert Path(found).is_relative_to(installed["PYTHONPATH"])
    command = run(tmp_path, installed, "sh", "-c", "command -v serin").stdout.strip()
    assert Path(command).is_relative_to(installed["PYTHONPATH"])


def test_the_pipeline_runs_once_from_the_data_to_a_published_model(
    workshop: Path, installed: Mapping[str, str]
) -> None:
    change(workshop, "train", epochs=1, lora={"r": 2, "alpha": 2})
    change(workshop, "evaluate", max_new_tokens=8, resamples=200)
    change(workshop, "publish", override="a model with random weights cannot be better")
    assert repro(workshop, installed) == STAGES
    dataset = workshop / "artifacts/dataset"
    quality = json.loads((dataset / "quality.json").read_text())
    assert quality["read"] == quality["kept"] + sum(quality["rejected"].values()) == 60
    assert quality["kept"] >= 55
    assert {file["source"]: file["format"] for file in quality["files"]} == {
        "chats.jsonl.gz": "sharegpt",
        "counter.csv": "columns",
    }
    assert (dataset / "quality.html").is_file()
    published = json.loads((workshop / "artifacts/published/published.json").read_text())
    assert published["name"] == "bicycle-care"
    assert repro(workshop, installed) == []


def test_data_in_s3_is_looked_at_where_it_is(
    installed: Mapping[str, str], s3_endpoint: str, tiny_base: Path, tmp_path: Path
) -> None:
    import boto3

    write_data(tmp_path)
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    client.upload_file(str(tmp_path / "chats.jsonl.gz"), "serin", "workshop/chats.jsonl.gz")
    client.close()
    arguments = ["bicycle-care", "--data", "s3://serin/workshop/", "--base", str(tiny_base)]
    done = run(tmp_path, {**installed, "AWS_ENDPOINT_URL": s3_endpoint}, "serin", "init", *arguments)
    assert done.returncode == 0, done.stderr
    assert "s3://serin/workshop/chats.jsonl.gz: sharegpt, 40 records" in done.stdout
    params = yaml.safe_load((tmp_path / "bicycle-care/params.yaml").read_text())
    assert params["prepare"]["sources"][0]["path"] == "s3://serin/workshop/"
    stages = yaml.safe_load((tmp_path / "bicycle-care/dvc.yaml").read_text())["stages"]
    assert stages["prepare"]["deps"] == ["artifacts/base"]
    assert not (tmp_path / "bicycle-care/data").exists()
