"""Checkpoints of one run in its own local folder: written whole or not at all, and read back if every byte is right."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from serin.clients.files import output_folder, read_json, read_manifest, scratch_folder, seal, write_json
from serin.core.errors import FinalError, InputError
from serin.core.manifest import MANIFEST
from serin.lm.save import writing_weights
from serin.train.checkpoint.state import State, folder_name, step_of, to_remove
from serin.train.history import History

_WEIGHTS, _MOMENTS, _BEST, _STATE = "weights.safetensors", "moments.safetensors", "best.safetensors", "state.json"
_KIND = "checkpoint"
_FINISHED = "finished"
_LOCK = "lock"


class CheckpointStore:
    """The folder of one run, named by its key.

    A checkpoint is a folder of its own: weights, moments, history, the best weights so far (a link to the same bytes), and a
    manifest, written last, with their digests and the run's key. So any one of them is enough to go on from.
    """

    def __init__(self, root: Path, key: str, keep: int) -> None:
        self.folder = root / key
        self.key = key
        self.keep = keep
        self.is_in_use: Callable[[int], bool] = lambda _: False
        """Whether a step's folder is being copied, and has to stay for now."""

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One process at a time trains a run. Raises FinalError where another one does; a killed one's lock is gone."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / _LOCK).open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                raise FinalError(
                    f"process {file.read().strip() or '?'} trains this very run already (its checkpoints are in "
                    f"{self.folder}): wait for it, or stop it"
                ) from error
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield

    def forget(self) -> None:
        """Remove everything that the run has kept here, but the lock."""
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != _LOCK:
                path.unlink(missing_ok=True)

    def steps(self) -> list[int]:
        """Steps of what looks complete: of each folder with a manifest."""
        return sorted(
            step
            for path in (self.folder.iterdir() if self.folder.is_dir() else ())
            if (step := step_of(path.name)) is not None and (path / MANIFEST).is_file()
        )

    def path(self, step: int) -> Path:
        """Where the checkpoint of ``step`` is."""
        return self.folder / folder_name(step)

    def save(self, state: State) -> Path:
        """Write a checkpoint, then give up those that the policy does not keep; one that is there already stays.

        Raises:
            OSError, StorageError: it could not be written; those before it are still there.
        """
        target = self.path(state.step)
        if not (target / MANIFEST).is_file():
            self._write(state, target)
        for step in to_remove(self.steps(), self.keep):
            if not self.is_in_use(step):
                shutil.rmtree(self.path(step), ignore_errors=True)
        self._drop_bests_but(self._best_file(state.history))
        return target

    def finish(self, state: State) -> None:
        """Keep the weights that were chosen, in case the output is lost, and give up everything else."""
        self._write(state, self.folder / _FINISHED)
        for step in self.steps():
            if not self.is_in_use(step):
                shutil.rmtree(self.path(step), ignore_errors=True)
        self._drop_bests_but(None)

    def _write(self, state: State, target: Path) -> None:
        with output_folder(target) as folder:
            with writing_weights(folder):
                save_file(_contiguous(state.weights), folder / _WEIGHTS)
                if state.moments:
                    save_file(_contiguous(state.moments), folder / _MOMENTS)
            if (best := self._best_file(state.history)) is not None and not state.finished:
                os.link(best, folder / _BEST)
            write_json(
                folder / _STATE,
                {
                    "step": state.step,
                    "micro_batch_size": state.micro_batch_size,
                    "finished": state.finished,
                    "history": state.history.as_dict(),
                },
            )
            seal(folder, kind=_KIND, inputs={"run": self.key})
            _flush(folder)

    def save_best(self, step: int, weights: Mapping[str, torch.Tensor]) -> None:
        """Keep the weights of the best evaluation so far; checkpoints from now on carry them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with scratch_folder(self._best_path(step)) as folder:
            with writing_weights(folder):
                save_file(_contiguous(weights), folder / _BEST)
            (folder / _BEST).replace(self._best_path(step))

    def load_best(self, step: int) -> dict[str, torch.Tensor]:
        """The weights that ``save_best`` kept. Raises InputError where they are gone or damaged."""
        return _read_weights(self._best_path(step))

    def newest(self, ignored: Callable[[str], None]) -> State | None:
        """The newest checkpoint whose every byte is right, or None; ``ignored`` hears of each that is not."""
        folders = [self.path(step) for step in reversed(self.steps())]
        if (self.folder / _FINISHED / MANIFEST).is_file():
            folders.insert(0, self.folder / _FINISHED)
        for folder in folders:
            try:
                return self._read(folder)
            except (InputError, KeyError, TypeError, ValueError, OSError) as error:
                ignored(f"the checkpoint {folder} is not used: {error}")
        return None

    def _read(self, folder: Path) -> State:
        manifest = read_manifest(folder, _KIND, verify=True)
        if manifest.inputs.get("run") != self.key:
            raise InputError(f"it belongs to the run {manifest.inputs.get('run', '?')[:12]}, this is {self.key[:12]}")
        record = read_json(folder / _STATE)
        history = History.from_dict(record["history"])
        if (folder / _BEST).is_file() and (best := history.best) is not None:
            link = self._best_path(best.step)
            link.unlink(missing_ok=True)
            os.link(folder / _BEST, link)
        moments = _read_weights(folder / _MOMENTS) if (folder / _MOMENTS).is_file() else {}
        return State(
            step=record["step"],
            micro_batch_size=record["micro_batch_size"],
            history=history,
            weights=_read_weights(folder / _WEIGHTS),
            moments=moments,
            finished=record["finished"],
        )

    def _best_path(self, step: int) -> Path:
        return self.folder / f"best-{step:08d}.safetensors"

    def _best_file(self, history: History) -> Path | None:
        path = self._best_path(history.best.step) if history.best else None
        return path if path is not None and path.is_file() else None

    def _drop_bests_but(self, best: Path | None) -> None:
        for path in self.folder.glob("best-*.safetensors"):
            if path != best:
                path.unlink(missing_ok=True)


def _contiguous(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().contiguous() for name, tensor in tensors.items()}


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, FileNotFoundError) as error:
        raise InputError(f"{path} is missing or damaged ({error}): start the run anew with --fresh") from error


def _flush(folder: Path) -> None:
    """Have the bytes on the disk before the folder gets its name, so that a power cut leaves no empty files either."""
    for path in folder.iterdir():
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
