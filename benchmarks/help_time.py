"""How long `serin --help` and every verb's help take, against starting Python with click alone.

python benchmarks/help_time.py [--rounds 9]
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from machine import describe

from serin.cli import VERBS
from serin.clients.files import write_atomically

RESULT = Path(__file__).parent / "results/help_time.txt"
LIMIT_S = 0.4
PEER = [sys.executable, "-c", "import click"]


def seconds(command: list[str]) -> float:
    """Wall time of one run."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """Interleave all commands round by round, print the medians and keep them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    program = str(Path(sys.executable).parent / "serin")
    commands = {"python -c 'import click'": PEER, "serin --help": [program, "--help"]}
    commands |= {f"serin {verb} --help": [program, verb, "--help"] for verb in VERBS}
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            taken[name].append(seconds(command))
    peer = statistics.median(next(iter(taken.values())))
    lines = [describe(), f"median of {rounds} rounds, limit {LIMIT_S} s", ""]
    lines += [f"{'command':<28}{'seconds':>9}{'of limit':>10}{'to click':>10}"]
    for name, each in taken.items():
        median = statistics.median(each)
        lines.append(f"{name:<28}{median:>9.3f}{median / LIMIT_S:>10.2f}{median / peer:>10.1f}")
    text = "\n".join(lines) + "\n"
    write_atomically(RESULT, text.encode())
    print(text, end="")


if __name__ == "__main__":
    main()
