"""What training is going to take of main memory, by its own plan: so that a pod that was killed for memory can be told why."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from serin.task.command import PARAMS_FILE

_LONGEST_S = 120.0


def estimate_in_background(folder: Path, environment: Mapping[str, str], tell: Callable[[int], None]) -> None:
    """Have ``serin train --plan`` say it, beside the training's own start, and pass it on in bytes; nothing where it cannot.

    On a GPU the plan is about the GPU's memory, and says nothing of the container's.
    """
    threading.Thread(target=_estimate, args=(folder, environment, tell), name="estimate", daemon=True).start()


def _estimate(folder: Path, environment: Mapping[str, str], tell: Callable[[int], None]) -> None:
    command = ["nice", sys.executable, "-m", "serin", "train", "--params", PARAMS_FILE, "--plan", "--json"]
    try:
        done = subprocess.run(
            command, cwd=folder, env=dict(environment), capture_output=True, timeout=_LONGEST_S, check=True
        )
        plan = json.loads(done.stdout)
        if plan["device"]["name"] == "CPU":
            tell(int(plan["memory_bytes"]["total"]))
    except (OSError, ValueError, KeyError, TypeError, subprocess.SubprocessError):
        return  # it is for a message alone
