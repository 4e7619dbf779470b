"""Local files: atomic writes, digests, and output folders that are complete or not there."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from serin.core.digest import digest_of_files
from serin.core.errors import InputError
from serin.core.manifest import MANIFEST, Manifest

_CHUNK_BYTES = 1 << 20


def write_atomically(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace ``path`` by ``data``, durably: a reader, also after a crash, sees the old bytes or the new ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any, mode: int = 0o644) -> None:
    """Write a JSON file atomically, readable by people, in an order that depends on the value alone."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    write_atomically(path, (text + "\n").encode(), mode)


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises InputError where it is missing or damaged."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing: run the stage that writes it, or 'dvc repro'") from error
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}): delete it and run the stage that writes it") from error


def read_jsonl(path: Path) -> Iterator[Any]:
    """Yield each line's value. Raises InputError with the line number where one is damaged."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise InputError(f"{path}:{number} is not JSON ({error})") from error
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing: run the stage that writes it, or 'dvc repro'") from error


def write_jsonl(path: Path, records: Iterable[Any]) -> None:
    """Write one compact JSON value a line, keys in the order given."""
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def digest_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, read in chunks."""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            hasher.update(chunk)
    return hasher.hexdigest()


def digests_in(folder: Path) -> dict[str, str]:
    """Relative path to digest, for every file of a folder but its manifest and hidden files."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {
        name: digest_of_file(path)
        for name, path in files.items()
        if name != MANIFEST and not any(part.startswith(".") for part in Path(name).parts)
    }


@cache
def code_digest() -> str:
    """The code version: the digest over the installed sources of ``serin``, its templates and word lists included."""
    root = Path(__file__).parents[1]
    sources = [path for path in sorted(root.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    return digest_of_files({path.relative_to(root).as_posix(): digest_of_file(path) for path in sources})


@contextmanager
def scratch_folder(beside: Path) -> Iterator[Path]:
    """A hidden folder beside ``beside`` for the length of a block; those that killed processes of this machine left go too."""
    beside.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{beside.name}.{os.uname().nodename.replace('.', '-')}."
    for left in beside.parent.glob(f"{prefix}*"):
        owner = left.name.removeprefix(prefix).split(".")[0]
        if left.is_dir() and owner.isdecimal() and not _is_running(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(dir=beside.parent, prefix=f"{prefix}{os.getpid()}."))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def output_folder(folder: Path) -> Iterator[Path]:
    """A scratch folder that takes the place of ``folder`` when the block ends well, and is removed otherwise.

    Write the manifest last (``seal``): what stands at ``folder`` is always whole.
    """
    with scratch_folder(folder) as scratch:
        yield scratch
        scratch.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        scratch.replace(folder)


def seal(folder: Path, kind: str, **fields: Any) -> Manifest:
    """Write the manifest over the files that stand in ``folder``; the last write of an output."""
    manifest = Manifest(kind=kind, files=digests_in(folder), code=code_digest(), **fields)
    write_json(folder / MANIFEST, manifest.model_dump())
    return manifest


def read_manifest(folder: Path, kind: str, verify: bool = False) -> Manifest:
    """Read the manifest of a complete folder; with ``verify``, compare every file's bytes with it.

    Raises:
        InputError: no manifest (so the folder is not complete), another kind, or other bytes.
    """
    try:
        manifest = Manifest.model_validate(read_json(folder / MANIFEST))
    except ValidationError as error:
        raise InputError(f"{folder / MANIFEST} is not a manifest ({error.error_count()} faults)") from error
    if manifest.kind != kind:
        raise InputError(f"{folder} holds a {manifest.kind}, expected a {kind}: check the path")
    if verify and (found := digests_in(folder)) != manifest.files:
        changed = sorted(
            name for name in found.keys() | manifest.files.keys() if found.get(name) != manifest.files.get(name)
        )
        raise InputError(f"{folder} is damaged: {', '.join(changed[:5])} differ from its manifest; make it again")
    return manifest
