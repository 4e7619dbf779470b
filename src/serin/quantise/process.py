"""llm-compressor as a process: given a job, watched, and ended with whoever started it."""

import re
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import IO, Any

from serin.clients.files import read_json, write_json
from serin.core.errors import FinalError

_POLL_S = 0.5
_SHOWN_LINES = 4
_READ_BYTES = 8192
_STEP = re.compile(r"\((\d+)/(\d+)\): (\w+)")

Tell = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Job:
    """What ``oneshot.py`` reads."""

    model: str
    """Folder of the model."""
    out: str
    """Folder that weights and config are written to."""
    versions: str
    """File that the versions of what did the work are written to."""
    recipe: list[tuple[str, dict[str, Any]]]
    calibration: list[list[int]]
    """Token ids, a list a conversation."""


def compress(python: Path, job: Job, scratch: Path, environment: Mapping[str, str], tell: Tell) -> dict[str, str]:
    """Do the job with another environment's Python, and return the versions of what did it.

    Args:
        python: of the environment that llm-compressor is in.
        job: what to do.
        scratch: a folder for the job's files and its log.
        environment: of the process.
        tell: hears which layer of how many is at work, and at what.

    Raises:
        FinalError: it failed or was killed; the message has the end of what it said.
    """
    write_json(scratch / "job.json", asdict(job))
    # Which layer is at work is read from a bar of llm-compressor's, so that one stays.
    settings = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1", "TQDM_DISABLE": ""}
    with (
        as_file(files("serin.quantise") / "oneshot.py") as script,
        (scratch / "log").open("w+b") as log,
        subprocess.Popen(
            # -I: nothing of this environment, this folder or the user's reaches the other one.
            [str(python), "-I", str(script), str(scratch / "job.json")],
            stdin=subprocess.PIPE,  # it ends when this does
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**environment, **settings},
        ) as process,
    ):
        try:
            _watch(process, log, tell)
        finally:
            process.kill()
        said = _end_of(log)
    if process.returncode != 0:
        raise FinalError(explain(process.returncode, said))
    versions: dict[str, str] = read_json(Path(job.versions))
    return versions


def explain(code: int, said: str) -> str:
    """Why a job ended with this exit code (negative: a signal), and the last lines of what it said."""
    lines = [line for line in re.split(r"[\r\n]+", said) if line.strip()][-_SHOWN_LINES:]
    if code < 0:
        why = f"was killed by {signal.Signals(-code).name}"
        if -code == signal.SIGKILL:
            why += ", as the system does where memory runs out: it holds the whole model, so give it more"
    else:
        why = f"ended with exit code {code}"
    return "\n".join([f"llm-compressor {why}; nothing was kept. It last said:", *(f"  {line}" for line in lines)])


def step_in(said: str) -> tuple[int, int, str] | None:
    """The last step that llm-compressor told of: ``(3/7): Calibrating`` is its third layer of seven."""
    found = _STEP.findall(said)
    return (int(found[-1][0]), int(found[-1][1]), found[-1][2].lower()) if found else None


def _watch(process: "subprocess.Popen[bytes]", log: IO[bytes], tell: Tell) -> None:
    told = None
    while True:
        try:
            process.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            step = step_in(_end_of(log))
            if step is not None and step != told:
                tell(*step)
                told = step
            continue
        return


def _end_of(log: IO[bytes]) -> str:
    """What was written last. The process writes at the end of the same file, whatever is read here."""
    with Path(log.name).open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _READ_BYTES))
        return file.read().decode(errors="replace")
