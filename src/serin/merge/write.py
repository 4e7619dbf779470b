"""The weight files of a merged model: written block by block, and each only once, however often the merge is killed."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from serin.clients.files import digest_of_file, write_json
from serin.core.errors import StorageError
from serin.merge.arithmetic import Update, round_block, rows_in_a_block, shape_after
from serin.merge.base import Base, FullBase
from serin.merge.placement import Changes
from serin.merge.scratch import Scratch
from serin.merge.shard import Layout, Written, in_order, write_shard
from serin.merge.threads import one_thread
from serin.merge.weights import INDEX, Stored, stored_in, weight_files

_COPIED_BYTES = 1 << 21


@dataclass(frozen=True, slots=True)
class Part:
    """One tensor of an output file."""

    begin: Stored
    """What it is made from."""
    update: Update | None
    layout: Layout


@dataclass(frozen=True, slots=True)
class Done:
    """The files that an earlier attempt finished, as its scratch folder remembers them."""

    scratch: Scratch | None = None

    def recall(self, path: Path) -> Written | None:
        """What was written at ``path``, if it is there still."""
        told = self.scratch.recall(self._what(path)) if self.scratch is not None else None
        if told is None or not path.is_file() or path.stat().st_size != told["nbytes"]:
            return None
        return Written(**told)

    def remember(self, path: Path, written: Written) -> None:
        """Note that it is whole."""
        if self.scratch is not None:
            self.scratch.remember(self._what(path), asdict(written))

    @staticmethod
    def _what(path: Path) -> str:
        return f"{path.parent.name}.{path.name}"


def write_weights(
    source: Path,
    changes: Changes,
    dtype: torch.dtype,
    out: Path,
    base: Base | None = None,
    done: Done | None = None,
) -> dict[str, str]:
    """Write every weight file of ``source`` with the changes made, block by block, and their index.

    Args:
        source: the model's folder.
        changes: to be made.
        dtype: of all weights that are floating-point numbers.
        out: the folder to write to.
        base: gives the weights to begin from; None: those of ``source`` as they are.
        done: knows which files an earlier attempt finished.

    Returns:
        The digest of each file, by name.

    Raises:
        ConfigError: a weight of another shape, or one that is not finite.
        InputError: a damaged file.
        StorageError: no room.
    """
    files = {path.name: _planned(path, changes, dtype) for path in weight_files(source)}
    done = done or Done()
    found = {name: written for name in files if (written := done.recall(out / name)) is not None}
    lacking = [name for name in files if name not in found]
    _refuse_full_disk(out, sum(part.layout.nbytes for name in lacking for part in files[name].values()))
    with one_thread():
        for name in lacking:
            layouts = {target: part.layout for target, part in files[name].items()}
            found[name] = write_shard(out / name, layouts, _blocks(files[name], base or FullBase()))
            done.remember(out / name, found[name])
    digests = {name: written.digest for name, written in found.items()}
    if (source / INDEX).is_file():
        places = {target: name for name, parts in files.items() for target in parts}
        size_bytes = sum(part.layout.nbytes for parts in files.values() for part in parts.values())
        write_json(out / INDEX, {"metadata": {"total_size": size_bytes}, "weight_map": places})
        digests[INDEX] = digest_of_file(out / INDEX)
    return digests


def _planned(path: Path, changes: Changes, dtype: torch.dtype) -> dict[str, Part]:
    """The tensors of the output file that ``path`` becomes, by name."""
    parts: dict[str, Part] = {}
    for name, stored in stored_in(path).items():
        for target in (name, *(new for new, origin in changes.parted.items() if origin == name)):
            update = changes.updates.get(target)
            shape = shape_after(target, stored.shape, update)
            kept = dtype if stored.dtype.is_floating_point else stored.dtype
            parts[target] = Part(stored, update, Layout(shape, kept))
    return parts


def _blocks(parts: Mapping[str, Part], base: Base) -> Iterator[memoryview]:
    """The bytes of the tensors, in the order that the file has them in."""
    for name in in_order({name: part.layout for name, part in parts.items()}):
        part = parts[name]
        weight = base.weight(part.begin)
        if part.update is None and weight is part.begin and part.begin.dtype == part.layout.dtype:
            yield from _copied(name, part.begin)
            continue
        rows = part.update.rows(weight) if part.update is not None else weight.rows
        changed = part.update is not None
        height = part.layout.shape[0] if part.layout.shape else 1
        step = rows_in_a_block(part.layout.shape)
        for start in range(0, height, step):
            block = round_block(name, rows(start, min(start + step, height)), part.layout.dtype, changed)
            yield block.contiguous().reshape(-1).view(torch.uint8).numpy().data


def _copied(name: str, stored: Stored) -> Iterator[memoryview]:
    for start in range(0, stored.nbytes, _COPIED_BYTES):
        data = stored.bytes(start, min(_COPIED_BYTES, stored.nbytes - start))
        round_block(name, torch.frombuffer(data, dtype=stored.dtype), stored.dtype, changed=False)
        yield memoryview(data)


def _refuse_full_disk(folder: Path, needed_bytes: int) -> None:
    free_bytes = shutil.disk_usage(folder).free
    if needed_bytes > free_bytes:
        raise StorageError(
            f"the merged weights take {needed_bytes / 1e9:.1f} GB more, and {folder} has {free_bytes / 1e9:.1f} GB free: free "
            "some space and run the command again"
        )
