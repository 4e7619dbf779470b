"""The environments of the peers: each is made from a file of pins where it is not there yet, and made anew when that changes."""

import hashlib
import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).parent
_CACHE = Path(__file__).parents[1] / ".serin/cache"


def peers_python(file: str = "peers.txt") -> Path:
    """The interpreter that has the packages that ``file`` pins."""
    pins = (_HERE / file).read_bytes()
    folder = _CACHE / f"peers-{hashlib.sha256(pins).hexdigest()[:12]}"
    python, complete = folder / "bin/python", folder / "complete"
    if not complete.is_file():
        print(f"making {folder} from {file} …", file=sys.stderr)
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
        subprocess.run([*install, "--requirement", str(_HERE / file)], check=True)
        complete.touch()
    return python
