import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from serin.cli import VERBS, cli
from serin.core.errors import ConfigError, InputError, SerinError, UsageError
from serin.core.params import parse_params
from serin.project.init import start_project

from .conftest import PARTS, turns, write_csv, write_jsonl


@pytest.fixture(autouse=True)
def _quiet_dvc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")


@pytest.fixture
def bike(tmp_path: Path, chats: Path, base: Path) -> Path:
    """A project that was started outside of git."""
    start_project(tmp_path / "bike", [str(chats)], str(base))
    return tmp_path / "bike"


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def test_the_params_say_what_was_found(bike: Path) -> None:
    params = parse_params(yaml.safe_load((bike / "params.yaml").read_text()), "params.yaml")
    (source,) = params.prepare.sources
    assert (source.path, source.format) == ("data/shop.jsonl.gz", "sharegpt")
    assert params.base.model == "../model"
    assert params.merge.name == "bike"


def test_the_data_is_copied_and_the_pipeline_watches_it(bike: Path, chats: Path) -> None:
    assert (bike / "data/shop.jsonl.gz").read_bytes() == chats.read_bytes()
    stages = yaml.safe_load((bike / "dvc.yaml").read_text())["stages"]
    assert stages["prepare"]["deps"] == ["artifacts/base", "data/shop.jsonl.gz"]
    assert stages["base"]["deps"] == ["../model"]
    for dep in ("data/shop.jsonl.gz", "../model"):
        assert (bike / dep).exists()


def test_dvc_takes_the_project_and_reports_nothing(bike: Path) -> None:
    config = (bike / ".dvc/config").read_text()
    assert re.search(r"analytics = false", config, re.IGNORECASE)
    assert re.search(r"no_scm = true", config, re.IGNORECASE)
    found = subprocess.run(
        [sys.executable, "-m", "dvc", "stage", "list", "--name-only"], cwd=bike, capture_output=True, text=True, check=True
    )  # fmt: skip
    assert found.stdout.split() == ["base", "prepare", "train", "merge", "evaluate", "publish"]


def test_every_command_of_the_readme_exists(bike: Path) -> None:
    text = (bike / "README.md").read_text()
    assert "sharegpt | 40 | en" in text
    assert str(bike.parent) not in text
    commands = [line[2:].split() for line in text.splitlines() if line.startswith("$ ")]
    assert ["dvc", "repro"] in commands
    for program, verb, *arguments in commands:
        if program == "dvc":
            continue
        assert program == "serin"
        assert verb in VERBS
        found = cli.get_command(click.Context(cli), verb)
        if isinstance(found, click.Group):
            found = found.get_command(click.Context(found), arguments[0])
        assert found is not None
        known = {option for parameter in found.params for option in parameter.opts}
        assert {argument for argument in arguments if argument.startswith("--")} <= known


def test_every_param_of_the_readme_exists(bike: Path) -> None:
    params: Any = parse_params(None, "")
    listed = "".join(re.findall(r"^- .*", (bike / "README.md").read_text(), re.MULTILINE))
    named = re.findall(r"`(\w+)\.(\w+)`", listed)
    assert ("prepare", "sources") in named
    for section, field in named:
        assert hasattr(getattr(params, section), field), (section, field)


def test_the_same_data_gives_the_same_bytes(bike: Path, tmp_path: Path, chats: Path, base: Path) -> None:
    os.utime(chats, (0, 0))
    again = tmp_path / "again/bike"
    start_project(again, [str(chats)], str(base))
    names = {"README.md", "dvc.yaml", "params.yaml", ".gitignore", ".dvc/config", ".dvcignore"}
    one, other = content(bike), content(again)
    assert {n: one[n].replace(b"../model", b"../../model") for n in names} == {n: other[n] for n in names}


def test_at_the_root_of_a_git_repository(tmp_path: Path, base: Path) -> None:
    folder = tmp_path / "bike"
    write_jsonl(folder / "raw/a.jsonl", [turns(n) for n in range(4)])
    (folder / ".gitignore").write_text("*.secret\n.venv/\n")
    (folder / "README.md").write_text("mine\n")
    git(folder, "init", "--quiet")
    start_project(folder, [str(folder / "raw")], str(base))
    assert "no_scm" not in (folder / ".dvc/config").read_text().lower()
    assert (folder / ".gitignore").read_text().splitlines()[:2] == ["*.secret", ".venv/"]
    assert (folder / ".gitignore").read_text().count(".venv/") == 1
    assert (folder / "README.md").read_text() == "mine\n"
    assert (folder / "SERIN.md").read_text().startswith("# bike\n")
    (folder / "artifacts").mkdir()
    (folder / "artifacts/x").touch()
    assert "artifacts" not in git(folder, "status", "--porcelain", "--untracked-files=all")


def test_below_the_root_of_a_git_repository(tmp_path: Path, chats: Path, base: Path) -> None:
    git(tmp_path, "init", "--quiet")
    start_project(tmp_path / "work/bike", [str(chats)], str(base))
    assert "no_scm" not in (tmp_path / "work/bike/.dvc/config").read_text().lower()
    assert not (tmp_path / ".dvc").exists()


def test_a_hub_id_is_written_with_its_commit(tmp_path: Path, chats: Path) -> None:
    start_project(tmp_path / "bike", [str(chats)], "someone/model", revision="0123456789" * 4, name="wheels")
    values = yaml.safe_load((tmp_path / "bike/params.yaml").read_text())
    assert values["base"]["model"] == "someone/model"
    assert values["base"]["revision"] == "0123456789" * 4
    assert values["merge"]["name"] == "wheels"
    assert "deps" not in yaml.safe_load((tmp_path / "bike/dvc.yaml").read_text())["stages"]["base"]


@pytest.mark.parametrize("file", ["params.yaml", "dvc.yaml"])
def test_a_project_is_not_started_twice(file: str, tmp_path: Path, chats: Path, base: Path) -> None:
    (tmp_path / "bike").mkdir()
    (tmp_path / "bike" / file).touch()
    with pytest.raises(UsageError, match=f"has a {file}"):
        start_project(tmp_path / "bike", [str(chats)], str(base))
    assert [p.name for p in (tmp_path / "bike").iterdir()] == [file]


@pytest.mark.parametrize(
    ("data", "model", "error"),
    [
        ("nowhere.jsonl", "model", InputError),
        ("empty.jsonl", "model", InputError),
        ("many.csv", "model", ConfigError),
        ("shop.jsonl.gz", "broken", ConfigError),
        ("shop.jsonl.gz", "nowhere", UsageError),
    ],
)
def test_nothing_is_written_where_something_does_not_fit(
    data: str, model: str, error: type[SerinError], tmp_path: Path, chats: Path, base: Path
) -> None:
    (tmp_path / "empty.jsonl").touch()
    write_csv(tmp_path / "many.csv", ["a", "b", "c"], [[f"the {part}", "one text", "or another"] for part in PARTS])
    (tmp_path / "broken").mkdir()
    with pytest.raises(error):
        start_project(tmp_path / "new/bike", [str(tmp_path / data)], str(tmp_path / model))
    assert chats.exists()
    assert base.exists()
    assert not (tmp_path / "new").exists()


def test_everything_is_taken_back_where_dvc_refuses(tmp_path: Path, chats: Path, base: Path) -> None:
    folder = tmp_path / "bike"
    folder.mkdir()
    (folder / ".gitignore").write_text("mine\n")
    (folder / "notes.txt").touch()
    git(tmp_path, "init", "--quiet")
    (tmp_path / ".gitignore").write_text(".dvc\n")
    before = content(folder)
    with pytest.raises(ConfigError, match="is ignored by your SCM tool"):
        start_project(folder, [str(chats)], str(base))
    assert content(folder) == before
    assert sorted(p.name for p in folder.iterdir()) == [".gitignore", "notes.txt"]
    with pytest.raises(ConfigError):
        start_project(tmp_path / "new/bike", [str(chats)], str(base))
    assert not (tmp_path / "new").exists()


def serin(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "serin", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_the_command_says_what_was_found_and_what_is_next(tmp_path: Path, chats: Path, base: Path) -> None:
    rows = [[str(n), f"Why does the {PARTS[n % 6]} squeak?", f"It needs oil {n} times a year."] for n in range(12)]
    write_csv(tmp_path / "old.csv", ["Nr", "Customer asks", "Mechanic says"], rows)
    done = serin(tmp_path, "init", "bike", "--data", chats.name, "old.csv", "--base", base.name)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "data/shop.jsonl.gz: sharegpt, 40 records; 40 looked at: 40 en"
    assert lines[1].startswith("data/old.csv: columns (user = Customer asks, assistant = Mechanic says), 12 records; ")
    assert "copied shop.jsonl.gz to bike/data/shop.jsonl.gz" in lines
    assert lines[-1] == "next: cd bike && dvc repro prepare, then look at artifacts/dataset/quality.html"


def test_the_folder_that_one_is_in_can_be_the_project(tmp_path: Path, chats: Path, base: Path) -> None:
    done = serin(tmp_path, "init", ".", "--data", chats.name, "--base", base.name, "--name", "bike")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("next: dvc repro")
    values = yaml.safe_load((tmp_path / "params.yaml").read_text())
    assert values["prepare"]["sources"][0]["path"] == chats.name
    assert values["base"]["model"] == "model"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["bike", "--data", "shop.jsonl.gz"], 0, "next: name your model under base in params.yaml, then cd bike"),
        (["bike", "--data", "shop.jsonl.gz", "--revision", "a" * 40], 2, "of which model? name it with --base"),
        (["--data", "shop.jsonl.gz", "bike", "--base", "model"], 0, "next: cd bike"),
        (["--data", "old.csv", "shop.jsonl.gz", "bike", "--base", "model"], 2, "shop.jsonl.gz is a file: DIR comes first"),
        (["bike", "--data", "old.csv", "--base", "model"], 78, "--columns user=COLUMN,assistant=COLUMN"),
        (["bike", "--data", "old.csv", "--base", "model", "--columns", "user=b,assistant=c"], 0, "user = b, assistant = c"),
        (["bike", "--data", "old.csv", "--base", "model", "--columns", "user=b"], 2, "expected user=COLUMN"),
        (["bike", "--data", "old.csv", "--base", "model", "--columns", "user=b,asistant=c"], 2, "expected user=COLUMN"),
        (["bike", "--data", "gone.csv", "--base", "model"], 1, "--data gone.csv holds no data"),
    ],
)  # fmt: skip
def test_the_command_ends_with_the_code_of_its_fault(
    arguments: list[str], code: int, words: str, tmp_path: Path, chats: Path, base: Path
) -> None:
    assert chats.exists()
    assert base.exists()
    write_csv(tmp_path / "old.csv", ["a", "b", "c"], [[f"the {part}", "one text", "or another"] for part in PARTS])
    done = serin(tmp_path, "init", *arguments)
    assert (done.returncode, words in done.stdout + done.stderr) == (code, True), done.stdout + done.stderr
    assert (tmp_path / "bike").exists() == (code == 0)
