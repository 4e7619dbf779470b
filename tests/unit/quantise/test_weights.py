"""An export is compared with the model that it was made of, before anybody can see it."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from serin.core.errors import FinalError
from serin.quantise.layers import Layers
from serin.quantise.weights import assemble, check

LAYERS = Layers({"a": 64, "b": 64}, frozenset({"a.weight", "b.weight", "norm.weight", "embed.weight"}))
MERGED = {f"{name}.weight": torch.ones(64, 64, dtype=torch.bfloat16) for name in ("a", "b", "embed", "norm")}
EXPORT = {
    "a.weight": torch.ones(64, 64, dtype=torch.int8),
    "a.weight_scale": torch.ones(64, 1, dtype=torch.bfloat16),
    "b.weight_packed": torch.ones(64, 8, dtype=torch.int32),
    "b.weight_scale": torch.ones(64, 1, dtype=torch.bfloat16),
    "embed.weight": MERGED["embed.weight"],
    "norm.weight": MERGED["norm.weight"],
}
NAN, HUGE = torch.full((64, 1), torch.nan), torch.zeros(1 << 16)


def folder(path: Path, tensors: Mapping[str, torch.Tensor]) -> Path:
    path.mkdir()
    save_file(dict(tensors), path / "model.safetensors")
    return path


def without(*names: str) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in EXPORT.items() if name not in names}


def test_a_whole_export_passes(tmp_path: Path) -> None:
    check(folder(tmp_path / "merged", MERGED), folder(tmp_path / "export", EXPORT), LAYERS)


@pytest.mark.parametrize(
    ("export", "fault"),
    [
        (without("b.weight_scale"), "1 of 2 layers are not quantised, such as b"),
        (without("b.weight_packed"), "1 weights are missing, such as b.weight"),
        (without("norm.weight"), "1 weights are missing, such as norm.weight"),
        ({**EXPORT, "a.weight_scale": NAN}, "a.weight_scale holds numbers that are not finite"),
        ({**EXPORT, "more": HUGE}, "its weights take"),
    ],
)
def test_a_faulty_one_is_refused_with_its_fault(export: Mapping[str, torch.Tensor], fault: str, tmp_path: Path) -> None:
    with pytest.raises(FinalError, match=f"{fault}.*nothing was kept"):
        check(folder(tmp_path / "merged", MERGED), folder(tmp_path / "export", export), LAYERS)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    merged, export = folder(tmp_path / "merged", MERGED), folder(tmp_path / "export", EXPORT)
    whole = (export / "model.safetensors").read_bytes()
    (export / "model.safetensors").write_bytes(whole[:100])
    with pytest.raises(FinalError, match=r"model\.safetensors is damaged"):
        check(merged, export, LAYERS)


def test_all_but_weights_and_config_comes_from_the_merged_model_byte_for_byte(tmp_path: Path) -> None:
    merged, made, out = folder(tmp_path / "merged", MERGED), folder(tmp_path / "made", EXPORT), tmp_path / "out"
    out.mkdir()
    for name in ("tokenizer.json", "chat_template.jinja", "generation_config.json", "LICENSE"):
        (merged / name).write_bytes(f"{name} of the merged model".encode())
        (made / name).write_bytes(b"written anew")
    (merged / "manifest.json").write_text("{}")
    (merged / "config.json").write_text(json.dumps({"dtype": "bfloat16", "transformers_version": "5.19.0"}))
    how = {"quant_method": "compressed-tensors"}
    (made / "config.json").write_text(json.dumps({"transformers_version": "5.17.0", "quantization_config": how}))
    (made / "recipe.yaml").touch()
    assemble(merged, made, out)
    assert json.loads((out / "config.json").read_text()) == {
        "dtype": "bfloat16",
        "transformers_version": "5.19.0",
        "quantization_config": how,
    }
    others = {path.name for path in out.iterdir()} - {"config.json", "model.safetensors"}
    assert others == {"tokenizer.json", "chat_template.jinja", "generation_config.json", "LICENSE"}
    assert all((out / name).read_bytes() == f"{name} of the merged model".encode() for name in others)


def test_a_config_without_quantisation_is_refused(tmp_path: Path) -> None:
    merged, made = folder(tmp_path / "merged", MERGED), folder(tmp_path / "made", EXPORT)
    (made / "config.json").write_text("{}")
    with pytest.raises(FinalError, match="nothing was quantised"):
        assemble(merged, made, tmp_path / "out")
