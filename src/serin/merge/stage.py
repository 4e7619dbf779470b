"""The stage ``merge``: base + adapter to a standard Hugging Face folder in storage, and a pointer to it."""

import shutil
import tempfile
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from serin.clients.files import output_folder, read_json, read_manifest, seal, write_json
from serin.clients.storage import Storage
from serin.core.errors import ConfigError, InputError
from serin.core.manifest import MANIFEST, Manifest
from serin.core.params import MergeParams
from serin.lm.save import writing_weights
from serin.merge.arithmetic import LowRank, merge_tensor, updates_by_weight

POINTER = "pointer.json"
_NOT_COPIED = (".safetensors", ".safetensors.index.json", ".md")


def run(params: MergeParams, base: Path, base_digest: str, adapter: Path | None, storage: Storage, out: Path) -> str:
    """Merge, store under ``models/<name>/<digest>``, write the pointer to ``out``, and return the digest.

    Without an adapter the base itself becomes a servable model, its tensors unchanged.

    Raises:
        ConfigError: the adapter belongs to another base, or is of a kind that cannot be merged.
        InputError: a damaged file.
    """
    inputs, updates = {"base": base_digest}, {}
    if adapter is not None:
        made = read_manifest(adapter, "adapter", verify=True)
        if made.inputs["base"] != base_digest:
            raise ConfigError(
                f"{adapter} was trained on the base {made.inputs['base'][:12]}, and this base is {base_digest[:12]}: merge "
                "it with its own base, or train again"
            )
        inputs["adapter"] = made.digest
        inputs["dataset"] = made.inputs["dataset"]
        updates = read_updates(adapter)
    scratch = Path(tempfile.mkdtemp(prefix="serin-merge-"))
    try:
        write_model(base, updates, getattr(torch, params.dtype), scratch)
        manifest = seal(scratch, kind="model", inputs=inputs, params=params.model_dump())
        return store(manifest, scratch, params.name, storage, out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def read_updates(adapter: Path) -> dict[str, LowRank]:
    """The adapter's updates by base weight."""
    try:
        tensors = load_file(adapter / "adapter_model.safetensors")
    except SafetensorError as error:
        raise InputError(f"{adapter / 'adapter_model.safetensors'} is damaged ({error}): train again") from error
    return updates_by_weight(tensors, read_json(adapter / "adapter_config.json"))


def write_model(base: Path, updates: dict[str, LowRank], dtype: torch.dtype, out: Path) -> None:
    """Write every weight file of the base with the updates added, one tensor at a time, and copy all other files."""
    left = dict(updates)
    for path in sorted(base.iterdir()):
        if path.is_file() and not path.name.endswith(_NOT_COPIED) and path.name != MANIFEST:
            shutil.copyfile(path, out / path.name)
    for shard in sorted(base.glob("*.safetensors")):
        merged = {}
        try:
            with safe_open(shard, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 - not a mapping
                    merged[name] = merge_tensor(name, file.get_tensor(name), left.pop(name, None), dtype)
        except SafetensorError as error:
            raise InputError(f"{shard} is damaged ({error}): restore the base model") from error
        with writing_weights(out):
            save_file(merged, out / shard.name, metadata={"format": "pt"})
    for index in base.glob("*.safetensors.index.json"):
        shutil.copyfile(index, out / index.name)
    if left:
        raise ConfigError(
            f"the adapter changes {len(left)} weights that the base does not have, such as {next(iter(left))}: it was "
            "trained on another base model"
        )
    config = read_json(out / "config.json")
    write_json(out / "config.json", {**config, "dtype": str(dtype).removeprefix("torch.")})


def store(manifest: Manifest, folder: Path, name: str, storage: Storage, out: Path) -> str:
    """Put the merged model into storage, manifest last, and write the pointer that DVC tracks."""
    digest = manifest.digest
    prefix = f"models/{name}/{digest}"
    storage.put_folder(folder, prefix, last=MANIFEST)
    with output_folder(out) as pointer:
        write_json(pointer / POINTER, {"name": name, "digest": digest, "prefix": prefix, "inputs": manifest.inputs})
        seal(pointer, kind="pointer", inputs=manifest.inputs, params=manifest.params)
    return digest
