"""An image's tag follows from what it is made of, and from nothing else."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FILES = ("constraints.txt", "overrides.txt", "pyproject.toml", "README.md", "LICENSE", ".dockerignore")


def copy(folder: Path) -> Path:
    """The repository, as far as images are concerned, with times of its own."""
    folder.mkdir()
    for name in FILES:
        shutil.copyfile(ROOT / name, folder / name)
    shutil.copytree(ROOT / "images", folder / "images")
    (folder / "src/serin").mkdir(parents=True)
    for name in ("__init__.py", "__main__.py"):
        shutil.copyfile(ROOT / "src/serin" / name, folder / "src/serin" / name)
    return folder


def tag(folder: Path) -> str:
    """What the script prints there."""
    done = subprocess.run([folder / "images/tag.sh"], capture_output=True, text=True, check=True, cwd="/")
    return done.stdout.strip()


def test_the_same_sources_give_the_same_tag_anywhere(tmp_path: Path) -> None:
    first, second = copy(tmp_path / "a"), copy(tmp_path / "b")
    os.utime(second / "src/serin/__init__.py", (1, 1))
    (second / "src/serin/__pycache__").mkdir()
    (second / "src/serin/__pycache__/__init__.cpython-311.pyc").write_bytes(b"compiled")
    (second / "notes.txt").write_text("not part of any image")
    assert tag(first) == tag(second)
    assert tag(first).startswith("0.1.0-")


@pytest.mark.parametrize("changed", [*FILES, "src/serin/__init__.py", "images/Dockerfile"])
def test_whatever_goes_in_changes_it(changed: str, tmp_path: Path) -> None:
    folder = copy(tmp_path / "a")
    before = tag(folder)
    with (folder / changed).open("a") as file:
        file.write("# changed\n")
    assert tag(folder) != before


def test_a_renamed_module_changes_it(tmp_path: Path) -> None:
    folder = copy(tmp_path / "a")
    before = tag(folder)
    (folder / "src/serin/__main__.py").rename(folder / "src/serin/main.py")
    assert tag(folder) != before


def build(tmp_path: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Build where docker is a program that only says how it was called."""
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\necho "epoch=$SOURCE_DATE_EPOCH $*" >&2\n')
    docker.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    inherited = {name: value for name, value in os.environ.items() if name not in ("SOURCE_DATE_EPOCH", "BASE")}
    return subprocess.run(
        [ROOT / "images/build.sh", *arguments],
        env={**inherited, "PATH": path, **environment},
        capture_output=True,
        text=True,
    )


def test_a_build_has_the_tag_of_its_sources_and_one_time_for_all_files(tmp_path: Path) -> None:
    done = build(tmp_path, "controller")
    assert done.stdout == f"serin-controller:{tag(ROOT)}\n"
    assert done.stderr.startswith("epoch=0 buildx build --file images/Dockerfile --target controller ")
    assert "--tag serin-controller:dev" in done.stderr


def test_a_push_goes_to_the_registry_that_was_named(tmp_path: Path) -> None:
    done = build(tmp_path, "--push", "registry.example.com/serin", "serve", BASE="python@sha256:abc")
    assert done.stdout == f"registry.example.com/serin/serin-serve:{tag(ROOT)}\n"
    assert "--output type=registry,rewrite-timestamp=true" in done.stderr
    assert (
        "--build-arg BASE=python@sha256:abc --label org.opencontainers.image.base.name=python@sha256:abc" in done.stderr
    )


@pytest.mark.parametrize("image", ["", "trian"])
def test_an_unknown_image_is_refused_with_those_that_exist(image: str, tmp_path: Path) -> None:
    done = build(tmp_path, *filter(None, [image]))
    assert done.returncode == 2
    assert f"found '{image}', expected one of: controller, train, serve" in done.stderr
    assert "buildx" not in done.stderr
