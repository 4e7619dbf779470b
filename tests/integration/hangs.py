"""What one of two processes is told in test_sharding that waits for one that hangs.

torchrun ... hangs.py OUT: the second process stays away from the first. What each is told is written to OUT. It has a launch of
its own: a second group of one launch may read in torchrun's store where the first group listened, and find nobody there.
"""

import sys
import time
from datetime import timedelta
from pathlib import Path

from serin.clients.files import write_json
from serin.core.errors import FinalError
from serin.train.processes import Processes, processes


def stay_away(team: Processes, told: Path) -> str:
    """What this process is told; the one that hangs comes back when the file ``told`` is there."""
    if team.rank == 1:
        deadline = time.monotonic() + 60
        while not told.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
    try:
        team.wait()
    except FinalError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    out = Path(sys.argv[1])
    with processes(timeout=timedelta(seconds=10)) as team:
        write_json(out / f"away-{team.rank}.json", stay_away(team, told=out / "away-0.json"))
