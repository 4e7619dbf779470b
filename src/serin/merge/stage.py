"""The stage ``merge``: base + adapter to a standard Hugging Face folder in storage, and a pointer to it."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from serin.clients.files import code_digest, digest_of_file, write_json
from serin.clients.models import prefix_of, write_pointer
from serin.clients.runs import runs_folder
from serin.clients.storage import Storage
from serin.core.digest import digest_of
from serin.core.manifest import MANIFEST, Manifest
from serin.core.params import MergeParams
from serin.lm.device import default_device
from serin.merge.adapter import read_adapter
from serin.merge.base import Base, DequantisedBase, FullBase, Kind
from serin.merge.choice import Choice, choose
from serin.merge.folder import copy_files, set_config
from serin.merge.parity import check_parity
from serin.merge.placement import Changes, place
from serin.merge.scratch import Scratch, scratch_root
from serin.merge.trained import Trained, read_trained
from serin.merge.write import Done, write_weights

_SEALED = "sealed"


def run(
    params: MergeParams,
    base: Path,
    base_digest: str,
    adapter: Path | None,
    storage: Storage,
    out: Path,
    dataset: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> str:
    """Merge, store under ``models/<name>/<digest>``, write the pointer to ``out``, and return the digest.

    A start after a kill goes on: files that are whole are not made again.

    Args:
        params: of the stage.
        base: the model's folder.
        base_digest: of the verified base.
        adapter: what ``train`` wrote, an adapter or with ``method: full`` a whole model, whose weights are then rounded;
            without one the base itself becomes a servable model.
        storage: where the model goes.
        out: the pointer's folder.
        dataset: that the adapter was trained on; ``merge.base: auto`` scores on its validation split.
        environment: for SERIN_RUNS and XDG_CACHE_HOME.

    Raises:
        ConfigError: the adapter belongs to another base, or is of a kind that cannot be merged.
        InputError: a damaged file.
        FinalError: the merged model does not answer as the base with the adapter does, or another process makes this merge.
        StorageError: no room.
    """
    trained = read_trained(adapter, base_digest)
    key = digest_of({"code": code_digest(), "params": params.model_dump(), "inputs": dict(trained.inputs)})
    scratch = Scratch(scratch_root(storage, runs_folder(environment)), key)
    with scratch.lock():
        sealed = scratch.recall(_SEALED)
        if sealed is None:
            folder, manifest = _Merge(params, base, trained, dataset, scratch).make()
            sealed = {"folder": folder.name, "manifest": manifest.model_dump()}
            scratch.remember(_SEALED, sealed)
        manifest = Manifest.model_validate(sealed["manifest"])
        storage.move_folder(scratch.folder / sealed["folder"], prefix_of(params.name, manifest.digest), last=MANIFEST)
        write_pointer(manifest, params.name, out, onto=manifest.metrics["base"])
        scratch.forget()
    return manifest.digest


def write_model(
    base: Path, trained: Path | None, dtype: torch.dtype, out: Path, onto: Base | None = None, done: Done | None = None
) -> dict[str, str]:
    """Write the merged model's folder; returns the digests of its files.

    Args:
        base: the model's folder.
        trained: the folder of an adapter or of a whole model, or None.
        dtype: of all weights.
        out: the folder to write to.
        onto: the weights that an adapter is added to; None: the base's own.
        done: knows which files an earlier attempt finished.

    Raises:
        ConfigError: an adapter that cannot be merged.
        InputError: a damaged file.
        StorageError: no room.
    """
    is_adapter = trained is not None and (trained / "adapter_config.json").is_file()
    changes = place(read_adapter(trained, base), base) if trained is not None and is_adapter else Changes()
    digests = write_weights(base if trained is None or is_adapter else trained, changes, dtype, out, onto, done)
    copy_files(base, trained, out)
    set_config(out, changes, dtype)
    others = [path for path in out.iterdir() if path.name not in digests and not path.name.startswith(".")]
    return digests | {path.name: digest_of_file(path) for path in others if path.name != MANIFEST}


@dataclass(frozen=True, slots=True)
class _Merge:
    """One merge, in its scratch folder."""

    params: MergeParams
    base: Path
    trained: Trained
    dataset: Path | None
    scratch: Scratch

    def make(self) -> tuple[Path, Manifest]:
        """The folder of the finished model, and its manifest, which stands in it."""
        chosen = choose(self.params.base, self.base, self.trained, self.dataset, self.write, self.remembered)
        folder = self.write(chosen.kind)
        metrics: dict[str, Any] = {"base": chosen.as_metrics()}
        if self.trained.is_adapter:
            metrics["parity"] = self.remembered(f"parity.{chosen.kind}", lambda: self.compare(chosen, folder))
        files = self.scratch.recall(f"files.{chosen.kind}")
        manifest = Manifest(
            kind="model",
            files=files,
            inputs=dict(self.trained.inputs),
            params=self.params.model_dump(),
            code=code_digest(),
            metrics=metrics,
        )
        write_json(folder / MANIFEST, manifest.model_dump())
        return folder, manifest

    def write(self, kind: Kind) -> Path:
        """The merge onto a base; made once."""
        folder = self.scratch.model(kind)
        self.remembered(
            f"files.{kind}",
            lambda: write_model(
                self.base, self.trained.folder, self.dtype, folder, self.onto(kind), Done(self.scratch)
            ),
        )
        return folder

    def onto(self, kind: Kind) -> Base:
        """The weights that the adapter is added to."""
        if kind == "full":
            return FullBase()
        notes = self.trained.notes
        assert notes is not None
        return DequantisedBase(self.base, notes, self.trained.dtype, default_device())

    def compare(self, chosen: Choice, folder: Path) -> dict[str, Any]:
        """The figures of parity. Raises FinalError where the merged model is another one."""
        adapter = self.trained.folder
        assert adapter is not None
        onto = self.onto(chosen.kind)
        nf4 = onto if chosen.kind == "dequantised" else self.onto("dequantised") if chosen.scores else None
        changes = place(read_adapter(adapter, self.base), self.base)
        return check_parity(self.base, onto, adapter, folder, changes, nf4)

    def remembered(self, what: str, make: Callable[[], Any]) -> Any:
        """What an earlier attempt made, or what is made now, which is then remembered."""
        found = self.scratch.recall(what)
        if found is None:
            found = make()
            self.scratch.remember(what, found)
        return found

    @property
    def dtype(self) -> torch.dtype:
        """Of the merged weights."""
        dtype: torch.dtype = getattr(torch, self.params.dtype)
        return dtype
