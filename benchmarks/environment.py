"""The environment of the peers: made from ``peers.txt`` where it is not there yet, and made anew when that changes."""

import hashlib
import subprocess
import sys
from pathlib import Path

_PINS = Path(__file__).parent / "peers.txt"
_CACHE = Path(__file__).parents[1] / ".serin/cache"


def peers_python() -> Path:
    """The interpreter that has the peers' packages."""
    pins = _PINS.read_bytes()
    folder = _CACHE / f"peers-{hashlib.sha256(pins).hexdigest()[:12]}"
    python, complete = folder / "bin/python", folder / "complete"
    if not complete.is_file():
        print(f"making {folder} from {_PINS.name} …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [
            str(python),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
        ]
        subprocess.run([*install, "--requirement", str(_PINS)], check=True)
        complete.touch()
    return python
