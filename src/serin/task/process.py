"""One of the processes that torchrun starts: ``serin`` itself, which leaves its id at its beginning and its exit code at its end.

torchrun ends with 1 whatever its processes ended with, and hands them a SIGTERM with a time limit of its own; so the task looks
here for the true ending, and sends signals to these processes itself.
"""

import os
import runpy
import sys
from pathlib import Path


def main() -> None:
    """``python -m serin.task.process FOLDER VERB ...``: run the verb; ``FOLDER/<local rank>`` holds id and code."""
    folder, rank = Path(sys.argv[1]), os.environ["LOCAL_RANK"]
    (folder / f"{rank}.pid").write_text(str(os.getpid()))
    sys.argv = ["serin", *sys.argv[2:]]
    code = 1
    try:
        runpy.run_module("serin", run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as done:
        code = done.code if isinstance(done.code, int) else int(done.code is not None)
        raise
    finally:
        (folder / f"{rank}.code").write_text(str(code))


if __name__ == "__main__":
    main()
