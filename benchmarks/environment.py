"""Environments of their own for what is measured: each is made where it is not there yet, and made anew when its list changes."""

import hashlib
import subprocess
import sys
import sysconfig
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

_HERE = Path(__file__).parent
_CACHE = Path(__file__).parents[1] / ".serin/cache"


def peers_python(file: str = "peers.txt") -> Path:
    """The interpreter that has the packages that ``file`` pins, installed without what they ask for."""
    pins = (_HERE / file).read_bytes()
    folder = _CACHE / f"peers-{hashlib.sha256(pins).hexdigest()[:12]}"
    python, complete = folder / "bin/python", folder / "complete"
    if not complete.is_file():
        print(f"making {folder} from {file} …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [str(python), *("-m", "pip", "install", "--quiet", "--quiet", "--disable-pip-version-check")]
        subprocess.run([*install, "--no-deps", "--requirement", str(_HERE / file)], check=True)
        complete.touch()
    return python


def serin_python(extra: str) -> Path:
    """An interpreter that sees ``serin[extra]`` and what that asks for, as on a machine where nothing else is installed.

    Many packages import others where they are there: transformers alone loads scipy and scikit-learn so. The packages are
    links to those of this interpreter.
    """
    packages = _asked_for(Requirement(f"serin[{extra}]"), {})
    listed = "\n".join(f"{name}=={found.version}" for name, found in sorted(packages.items()))
    folder = _CACHE / f"serin-{extra}-{hashlib.sha256(listed.encode()).hexdigest()[:12]}"
    python, complete = folder / "bin/python", folder / "complete"
    if not complete.is_file():
        subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", folder], check=True)
        (site,) = folder.glob("lib/python*/site-packages")
        ours = Path(sysconfig.get_paths()["purelib"])
        for found in packages.values():
            for top in {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}:
                if not (site / top).exists():
                    (site / top).symlink_to(ours / top)
        complete.touch()
    return python


def _asked_for(wanted: Requirement, found: dict[str, Distribution]) -> dict[str, Distribution]:
    """What is installed of ``wanted`` and of everything that it asks for, added to ``found``."""
    for extra in sorted(wanted.extras) or [""]:
        name = f"{wanted.name}[{extra}]".lower() if extra else wanted.name.lower()
        if name in found:
            continue
        try:
            found[name] = distribution(wanted.name)
        except PackageNotFoundError:  # of another platform
            continue
        for line in found[name].requires or ():
            needed = Requirement(line)
            if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in ("", extra)):
                _asked_for(needed, found)
    return found
