"""``serin`` as one of several processes, the second of which is struck by a blow.

torchrun ... struck.py BLOW ARGUMENTS...: BLOW is one of ``attempts.Blow`` as JSON.
"""

import importlib
import json
import os
import sys


def main(blow: str, *arguments: str) -> None:
    """Put the blow where it is to fall, and run the command."""
    if os.environ["RANK"] == "1":
        importlib.import_module("attempts").strike(json.loads(blow))  # beside this file
    from serin.cli import main as serin

    serin(arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
