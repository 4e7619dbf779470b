"""The environment that llm-compressor is in: found, or made from pinned versions.

Its constraints stand beside this file, as part of the package, so that an installed Serin can make it too.
"""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from serin.core.digest import digest_of_bytes
from serin.core.errors import ConfigError

FOLDER: Final = Path(".serin/quantise")
VARIABLE: Final = "SERIN_QUANTISE_PYTHON"
_CONSTRAINTS = files("serin.quantise") / "constraints.txt"
_COMPLETE = ".complete"
_PACKAGE = "llmcompressor"
_SHOWN_LINES = 6


def find_python(folder: Path, environment: Mapping[str, str]) -> Path:
    """The Python to call: what SERIN_QUANTISE_PYTHON names, or that of the environment in ``folder``.

    Raises:
        ConfigError: none there, or one that is not complete or was made from other versions.
    """
    if named := environment.get(VARIABLE):
        if not Path(named).is_file():
            raise ConfigError(
                f"{VARIABLE} = {named!r}: no such file; name the Python of an environment with llmcompressor, or unset it "
                "and run 'serin quantise --set-up'"
            )
        return Path(named)
    if not folder.is_dir():
        raise ConfigError(
            f"{folder} is not there: llm-compressor needs an environment of its own; run 'serin quantise --set-up'"
        )
    if not is_complete(folder):
        raise ConfigError(
            f"{folder} is half made, or was made for another version of Serin: run 'serin quantise --set-up' again"
        )
    return _python_in(folder)


def is_complete(folder: Path) -> bool:
    """Whether the environment was made to its end, from the versions that are pinned now."""
    mark = folder / _COMPLETE
    return mark.is_file() and mark.read_text() == _pinned() and _python_in(folder).is_file()


def set_up(folder: Path, environment: Mapping[str, str]) -> None:
    """Make the environment: with uv where it is found, which links what it has in its cache, or else with venv and pip.

    Does nothing where it is complete. What an attempt that was killed left is made anew.

    Raises:
        ConfigError: the installation failed; the message has the end of what the installer said.
    """
    if is_complete(folder):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    (folder / _COMPLETE).unlink(missing_ok=True)
    python = str(_python_in(folder))
    uv = _find_uv(environment)
    with as_file(_CONSTRAINTS) as constraints:
        wanted = ["--constraint", str(constraints), _PACKAGE]
        if uv is not None:
            source = torch_source(environment, _pip_links(environment), _has_gpu(environment))
            settings = {**environment, **source}
            _run([uv, "venv", "--clear", "--python", sys.executable, str(folder)], settings)
            _run([uv, "pip", "install", "--python", python, *wanted], settings)
        else:
            _run([sys.executable, "-I", "-m", "venv", "--clear", str(folder)], environment)
            _run([python, "-I", "-m", "pip", "install", *wanted], environment)
    (folder / _COMPLETE).write_text(_pinned())


def torch_source(environment: Mapping[str, str], links: str | None, has_gpu: bool) -> dict[str, str]:
    """Where uv is to take torch from, as settings of uv's: what the user set, else the builds for this machine.

    Args:
        environment: of this process.
        links: the folder that pip is configured to find wheels in.
        has_gpu: whether a GPU answers.
    """
    if {"UV_FIND_LINKS", "UV_TORCH_BACKEND"} & environment.keys():
        return {}
    if has_gpu:
        return {"UV_TORCH_BACKEND": "auto"}
    if links is not None and any(Path(links).glob("torch-*+cpu-*.whl")):
        return {"UV_FIND_LINKS": links}
    return {"UV_TORCH_BACKEND": "cpu"}


def _pinned() -> str:
    return digest_of_bytes(_CONSTRAINTS.read_bytes()) + "\n"


def _python_in(folder: Path) -> Path:
    return folder / "bin" / "python"


def _find_uv(environment: Mapping[str, str]) -> str | None:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.is_file() else shutil.which("uv", path=environment.get("PATH"))


def _pip_links(environment: Mapping[str, str]) -> str | None:
    """uv does not read pip's configuration, which may name a folder with wheels of torch for the CPU."""
    asked = [sys.executable, "-m", "pip", "config", "get", "global.find-links"]
    found = subprocess.run(asked, env=environment, capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 and found.stdout.strip() else None


def _has_gpu(environment: Mapping[str, str]) -> bool:
    tool = shutil.which("nvidia-smi", path=environment.get("PATH"))
    return tool is not None and subprocess.run([tool, "-L"], capture_output=True, check=False).returncode == 0


def _run(command: list[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        lines = done.stdout.strip().splitlines()[-_SHOWN_LINES:]
        raise ConfigError(
            "\n".join(
                [
                    f"'{' '.join(command)}' failed:",
                    *(f"  {line}" for line in lines),
                    "mend that (the network, the disk, a proxy) and run 'serin quantise --set-up' again",
                ]
            )
        )
