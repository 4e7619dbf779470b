"""Where llm-compressor is found, and what is said where it is not; its environment is made by installers of the test's own."""

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from serin.core.errors import ConfigError
from serin.quantise import environment
from serin.quantise.environment import find_python, set_up, torch_source

MADE = 'mkdir -p "$folder/bin" && touch "$folder/bin/python"'
UV = """#!/bin/sh
echo "$@" >> "{log}"
for folder; do :; done
case "$1" in venv) {venv} ;; pip) {pip} ;; esac
"""


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "FakeUv":
    return FakeUv(tmp_path / "programs", monkeypatch)


class FakeUv:
    """Stands in for uv, as a program: nothing is downloaded."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder.mkdir()
        self.folder, self.log = folder, folder / "log"
        monkeypatch.setattr(sys, "executable", str(folder / "python"))  # no uv beside it but this one
        self.does()

    def does(self, venv: str = MADE, pip: str = "true") -> None:
        program = self.folder / "uv"
        program.write_text(UV.format(log=self.log, venv=venv, pip=pip))
        program.chmod(0o755)
        (self.folder / "python").write_text("#!/bin/sh\nexit 1\n")
        (self.folder / "python").chmod(0o755)

    @property
    def environment(self) -> Mapping[str, str]:
        return {"PATH": f"{self.folder}:/usr/bin:/bin", "UV_TORCH_BACKEND": "cpu"}

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.is_file() else []


def test_a_missing_environment_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="run 'serin quantise --set-up'"):
        find_python(tmp_path / "quantise", {})


def test_a_python_that_the_user_names_comes_first(tmp_path: Path) -> None:
    assert find_python(tmp_path, {"SERIN_QUANTISE_PYTHON": sys.executable}) == Path(sys.executable)
    with pytest.raises(ConfigError, match=r"SERIN_QUANTISE_PYTHON = '/no/python': no such file"):
        find_python(tmp_path, {"SERIN_QUANTISE_PYTHON": "/no/python"})


def test_setting_up_installs_the_pinned_versions_once(uv: FakeUv, tmp_path: Path) -> None:
    folder = tmp_path / "made" / "quantise"
    set_up(folder, uv.environment)
    assert find_python(folder, {}) == folder / "bin" / "python"
    created, installed = uv.calls
    assert created.startswith("venv --clear")
    assert installed.endswith("constraints.txt llmcompressor")
    set_up(folder, uv.environment)
    assert len(uv.calls) == 2


def test_a_half_made_environment_is_not_used_and_is_made_anew(uv: FakeUv, tmp_path: Path) -> None:
    folder = tmp_path / "quantise"
    uv.does(pip="echo 'no room on the disk' && exit 2")
    with pytest.raises(ConfigError, match=r"no room on the disk\n.*--set-up' again"):
        set_up(folder, uv.environment)
    with pytest.raises(ConfigError, match="half made"):
        find_python(folder, {})
    uv.does()
    set_up(folder, uv.environment)
    assert find_python(folder, {}).is_file()


def test_an_environment_of_other_versions_is_not_used(
    uv: FakeUv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(tmp_path / "quantise", uv.environment)
    newer = tmp_path / "constraints.txt"
    newer.write_text("llmcompressor==99\n")
    monkeypatch.setattr(environment, "_CONSTRAINTS", newer)
    with pytest.raises(ConfigError, match="another version of Serin"):
        find_python(tmp_path / "quantise", {})


def test_torch_is_taken_for_this_machine_unless_the_user_says_from_where(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    assert torch_source({}, None, has_gpu=True) == {"UV_TORCH_BACKEND": "auto"}
    assert torch_source({}, str(wheels), has_gpu=False) == {"UV_TORCH_BACKEND": "cpu"}
    (wheels / "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl").touch()
    assert torch_source({}, str(wheels), has_gpu=False) == {"UV_FIND_LINKS": str(wheels)}
    assert torch_source({}, str(wheels), has_gpu=True) == {"UV_TORCH_BACKEND": "auto"}
    assert torch_source({"UV_TORCH_BACKEND": "cu130"}, str(wheels), has_gpu=True) == {}


def test_the_constraints_pin_versions_and_name_no_index() -> None:
    lines = [line for line in environment._CONSTRAINTS.read_text().splitlines() if not line.startswith("#")]
    assert all(line.count("==") == 1 and " " not in line and "/" not in line for line in lines)
    assert {line.split("==")[0] for line in lines} >= {"llmcompressor", "compressed-tensors", "torch", "transformers"}
