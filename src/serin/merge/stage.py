"""The stage ``merge``: base + adapter to a standard Hugging Face folder in storage, and a pointer to it."""

import shutil
import tempfile
from pathlib import Path

import torch

from serin.clients.files import output_folder, read_json, read_manifest, seal, write_json
from serin.clients.storage import Storage
from serin.core.errors import ConfigError
from serin.core.manifest import MANIFEST, Manifest
from serin.core.params import MergeParams
from serin.merge.adapter import read_adapter
from serin.merge.folder import copy_files, set_config, write_weights
from serin.merge.placement import Changes, place

POINTER = "pointer.json"


def run(params: MergeParams, base: Path, base_digest: str, adapter: Path | None, storage: Storage, out: Path) -> str:
    """Merge, store under ``models/<name>/<digest>``, write the pointer to ``out``, and return the digest.

    Args:
        params: of the stage.
        base: the model's folder.
        base_digest: of the verified base.
        adapter: what ``train`` wrote, an adapter or with ``method: full`` a whole model, whose weights are then rounded;
            without one the base itself becomes a servable model.
        storage: where the model goes.
        out: the pointer's folder.

    Raises:
        ConfigError: the adapter belongs to another base, or is of a kind that cannot be merged.
        InputError: a damaged file.
    """
    made = _read_trained(adapter, base_digest) if adapter is not None else None
    inputs = {"base": base_digest}
    if made is not None:
        inputs |= {made.kind: made.digest, "dataset": made.inputs["dataset"]}
    scratch = Path(tempfile.mkdtemp(prefix="serin-merge-"))
    try:
        write_model(base, adapter, getattr(torch, params.dtype), scratch)
        manifest = seal(scratch, kind="model", inputs=inputs, params=params.model_dump())
        return store(manifest, scratch, params.name, storage, out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_model(base: Path, trained: Path | None, dtype: torch.dtype, out: Path) -> None:
    """Write the merged model's folder.

    Args:
        base: the model's folder.
        trained: the folder of an adapter or of a whole model, or None.
        dtype: of all weights.
        out: an empty folder.

    Raises:
        ConfigError: an adapter that cannot be merged.
        InputError: a damaged file.
    """
    is_adapter = trained is not None and (trained / "adapter_config.json").is_file()
    changes = place(read_adapter(trained, base), base) if trained is not None and is_adapter else Changes()
    write_weights(base if trained is None or is_adapter else trained, changes, dtype, out)
    copy_files(base, trained, out)
    set_config(out, changes, dtype)


def _read_trained(folder: Path, base_digest: str) -> Manifest:
    """The manifest of an adapter or of whole weights. Raises ConfigError where they come from another base."""
    kind = "weights" if read_json(folder / MANIFEST).get("kind") == "weights" else "adapter"
    made = read_manifest(folder, kind, verify=True)
    if made.inputs["base"] != base_digest:
        raise ConfigError(
            f"{folder} was trained on the base {made.inputs['base'][:12]}, and this base is {base_digest[:12]}: merge "
            "it with its own base, or train again"
        )
    return made


def store(manifest: Manifest, folder: Path, name: str, storage: Storage, out: Path) -> str:
    """Put the merged model into storage, manifest last, and write the pointer that DVC tracks."""
    digest = manifest.digest
    prefix = f"models/{name}/{digest}"
    storage.put_folder(folder, prefix, last=MANIFEST)
    with output_folder(out) as pointer:
        write_json(pointer / POINTER, {"name": name, "digest": digest, "prefix": prefix, "inputs": manifest.inputs})
        seal(pointer, kind="pointer", inputs=manifest.inputs, params=manifest.params)
    return digest
