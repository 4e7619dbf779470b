"""What a folder holds, by its own word: names, and the digests that its manifest promises."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from serin.core.errors import InputError
from serin.core.manifest import Manifest


def names_in(source: Path, last: str) -> list[str]:
    """Relative paths of a folder's files, sorted, ``last`` at the end."""
    names = sorted(p.relative_to(source).as_posix() for p in source.rglob("*") if p.is_file())
    return [*(name for name in names if name != last), *([last] if last in names else [])]


def promised_digests(manifest: bytes | None) -> Mapping[str, str]:
    """Relative path to SHA-256 as a manifest's bytes have it; empty where there is none, or it is of another kind."""
    if manifest is None:
        return {}
    try:
        return Manifest.model_validate_json(manifest).files
    except ValidationError:
        return {}


def check_promise(path: Path, found: str, promised: str | None) -> None:
    """Raises InputError where a file has another digest than its folder's manifest says."""
    if promised is not None and found != promised:
        raise InputError(
            f"{path} is {found[:12]}, and its manifest says {promised[:12]}: it was damaged or changed; make the folder again"
        )
