"""From a stage's output folder to the result that the controller reads."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from serin.clients.files import read_json, read_manifest
from serin.clients.models import read_pointer
from serin.core.errors import InputError
from serin.core.manifest import MANIFEST, Manifest
from serin.core.task import Result, Stage
from serin.core.verdict import Verdict

_KINDS: dict[Stage, tuple[str, ...]] = {
    "train": ("adapter", "weights"),
    "merge": ("pointer",),
    "evaluate": ("evaluation",),
    "publish": ("published",),
}
_TOLD = ("final_loss", "validation_loss", "best_validation_loss", "best_step", "steps", "epochs", "examples", "tokens")
_MOST_MISSED = 32


def check_output(stage: Stage, folder: Path) -> Manifest:
    """The manifest of what a stage wrote: without one it has not finished, whatever its exit code says.

    Raises:
        InputError: it is not complete, or damaged.
    """
    found = str(read_json(folder / MANIFEST).get("kind"))
    kinds = _KINDS[stage]
    return read_manifest(folder, found if found in kinds else kinds[0], verify=True)


def result_of(stage: Stage, folder: Path, manifest: Manifest, out: str) -> Result:
    """What is told of an output.

    Args:
        stage: that wrote it.
        folder: where it lies.
        manifest: of the folder.
        out: its DVC hash.

    Raises:
        InputError: a file in it is not what the stage writes.
    """
    told = Result(stage=stage, out=out, digest=manifest.digest)
    if stage == "train":
        return told.model_copy(update={"metrics": {name: manifest.metrics.get(name) for name in _TOLD}})
    if stage == "merge":
        return told.model_copy(update={"digest": read_pointer(folder).digest})
    try:
        if stage == "evaluate":
            return told.model_copy(update=_verdict(read_json(folder / "verdict.json")))
        published = read_json(folder / "published.json")
        revision = f"{published['name']}@{published['digest']}"
        return told.model_copy(update={"digest": published["digest"], "revision": revision})
    except (KeyError, TypeError, ValidationError) as error:
        raise InputError(
            f"{folder} is not what {stage} writes ({error!r}): are image and code of one version?"
        ) from error


def parse_result(data: bytes, where: str) -> Result:
    """What ``result.json`` says. Raises InputError where it is none."""
    try:
        return Result.model_validate_json(data)
    except ValidationError as error:
        raise InputError(f"{where} is no result ({error.error_count()} faults): remove it, and run again") from error


def _verdict(told: Any) -> dict[str, Any]:
    verdict = Verdict.model_validate(told)
    return {"digest": verdict.digest, "passed": verdict.passed, "missed": list(verdict.missed[:_MOST_MISSED])}
