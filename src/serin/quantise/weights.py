"""The exported folder: the merged model's own files, llm-compressor's weights, and the proof that they belong together."""

import shutil
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open

from serin.clients.files import read_json, write_json
from serin.core.errors import FinalError
from serin.core.manifest import MANIFEST
from serin.quantise.layers import Layers

_CONFIG: Final = "config.json"
_QUANTISATION: Final = "quantization_config"
_WEIGHTS: Final = (".safetensors", ".safetensors.index.json")
_SCALE: Final = "weight_scale"
_PACKED: Final = "weight_packed"


def assemble(merged: Path, made: Path, out: Path) -> None:
    """Put weights and the merged model's other files, byte for byte, into ``out``; its config says how they are quantised.

    llm-compressor's transformers would write tokenizer, template and config anew, in its own version's way.

    Raises:
        FinalError: llm-compressor wrote no such config.
    """
    written = read_json(made / _CONFIG)
    if _QUANTISATION not in written:
        raise FinalError(
            f"llm-compressor wrote a config without {_QUANTISATION}: nothing was quantised; nothing was kept"
        )
    for path in sorted(merged.iterdir()):
        is_own = path.name.endswith(_WEIGHTS) or path.name in {_CONFIG, MANIFEST} or path.name.startswith(".")
        if path.is_file() and not is_own:
            shutil.copyfile(path, out / path.name)
    write_json(out / _CONFIG, {**read_json(merged / _CONFIG), _QUANTISATION: written[_QUANTISATION]})
    for path in sorted(made.iterdir()):
        if path.name.endswith(_WEIGHTS):
            path.chmod(0o644)
            path.replace(out / path.name)


def check(merged: Path, out: Path, layers: Layers) -> None:
    """Compare an export with the model that it was made of.

    Raises:
        FinalError: a layer was left as it is or left out, another weight is missing, a number is not finite, or nothing was
            saved by it.
    """
    found = {name for path in _weight_files(out) for name in _names_in(path)}
    unscaled = sorted(layer for layer in layers.widths if f"{layer}.{_SCALE}" not in found)
    if unscaled:
        raise _refused(f"{len(unscaled)} of {len(layers.widths)} layers are not quantised, such as {unscaled[0]}")
    merged_names = {name for path in _weight_files(merged) for name in _names_in(path)}
    absent = sorted(n for n in merged_names & layers.weights if not {n, _packed(n)} & found)
    if absent:
        raise _refused(f"{len(absent)} weights are missing, such as {absent[0]}")
    for path in _weight_files(out):
        _refuse_not_finite(path)
    if weights_bytes(out) >= weights_bytes(merged):
        raise _refused(
            f"its weights take {weights_bytes(out)} bytes, those of the merged model {weights_bytes(merged)}"
        )


def weights_bytes(folder: Path) -> int:
    """The size of all weight files."""
    return sum(path.stat().st_size for path in _weight_files(folder))


def _weight_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def _names_in(path: Path) -> list[str]:
    try:
        with safe_open(path, "pt") as file:
            return list(file.keys())
    except (OSError, SafetensorError) as error:
        raise _refused(f"{path.name} is damaged ({error})") from error


def _refuse_not_finite(path: Path) -> None:
    with safe_open(path, "pt") as file:
        for name in file.keys():  # noqa: SIM118 - not a mapping
            tensor = file.get_tensor(name)
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor.float()).all()):
                raise _refused(f"{name} holds numbers that are not finite")


def _packed(name: str) -> str:
    return f"{name.removesuffix('weight')}{_PACKED}" if name.endswith(".weight") else name


def _refused(fault: str) -> FinalError:
    return FinalError(f"what llm-compressor wrote is not the merged model in fewer bits: {fault}; nothing was kept")
