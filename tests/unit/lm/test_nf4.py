from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, Phi3Config, PretrainedConfig, Qwen3MoeConfig

from serin.lm.load import load_for_training
from serin.lm.nf4 import digest_of_notes, encode, note_nf4, notes_as_json, notes_from_json, quantised_weights
from serin.merge.weights import Held, stored_in_model

CPU = torch.device("cpu")
TOKENS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
SMALL = {
    **{**TOKENS, "vocab_size": 120, "hidden_size": 72, "intermediate_size": 200, "num_hidden_layers": 2},
    **{"num_attention_heads": 4, "num_key_value_heads": 2},
}
CONFIGS: Mapping[str, Callable[[], PretrainedConfig]] = {
    "llama": lambda: LlamaConfig(**SMALL),
    "phi3": lambda: Phi3Config(**SMALL),
    "gpt2": lambda: GPT2Config(**TOKENS, vocab_size=120, n_embd=50, n_layer=2, n_head=2, n_positions=64),
    "moe": lambda: Qwen3MoeConfig(**SMALL, head_dim=18, moe_intermediate_size=16, num_experts=4, num_experts_per_tok=2),
}


def empty(folder: Path) -> AutoModelForCausalLM:
    """The model without weights."""
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(CONFIGS[folder.name]())


@pytest.fixture(scope="module", params=CONFIGS)
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bfloat16 model of random weights; few of its widths are multiples of a block."""
    folder = tmp_path_factory.mktemp("nf4") / request.param
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(CONFIGS[request.param]()).to(torch.bfloat16).save_pretrained(str(folder))
    return folder


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tensor_by_tensor_it_gives_bit_by_bit_the_weights_that_training_computes_with(
    base: Path, dtype: torch.dtype
) -> None:
    model = load_for_training(base, True, dtype, "sdpa")
    noted, stored = note_nf4(model), stored_in_model(base)
    quantised = quantised_weights(empty(base))
    assert quantised.keys() == noted.keys()
    assert not any("lm_head" in name for name in quantised)
    parameters = dict(model.named_parameters())
    for name, transposed in quantised.items():
        coded = encode(stored[name], transposed, dtype, CPU)
        trained_on = dequantize_4bit(parameters[name].data, parameters[name].quant_state)
        assert torch.equal(coded.read(), trained_on)
        assert coded.read().dtype == dtype
        assert coded.noted() == noted[name]


@pytest.mark.parametrize("shape", [(70, 64), (70, 72), (9, 40), (33, 144), (5, 1000)])
def test_some_rows_are_those_rows_of_the_whole(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    coded = encode(Held(torch.randn(shape) * torch.rand(shape[0], 1)), False, torch.float32, CPU)
    whole = coded.read()
    for start in range(0, shape[0], 4):
        assert torch.equal(coded.rows(start, min(start + 4, shape[0])), whole[start : start + 4])


def test_a_noted_offset_makes_the_same_weights_whatever_the_mean_is_summed_as() -> None:
    """The mean of many scales depends on the number of threads in its last bits."""
    torch.manual_seed(0)
    weight = Held(torch.randn(512, 256))
    coded = encode(weight, False, torch.float32, CPU)
    noted = coded.noted()
    assert encode(weight, False, torch.float32, CPU, noted.offset).noted() == noted
    moved = float(torch.nextafter(torch.tensor(noted.offset), torch.tensor(1.0)))
    assert encode(weight, False, torch.float32, CPU, moved).noted() != noted


def test_one_other_weight_and_another_dtype_are_other_notes() -> None:
    torch.manual_seed(0)
    weight = torch.randn(64, 64)
    noted = encode(Held(weight), False, torch.float32, CPU).noted()
    assert encode(Held(weight), False, torch.bfloat16, CPU).noted() != noted
    weight[63, 63] *= 3
    assert encode(Held(weight), False, torch.float32, CPU, noted.offset).noted() != noted


def test_notes_survive_a_file_bit_by_bit() -> None:
    notes = {"w": encode(Held(torch.randn(64, 64)), False, torch.float32, CPU).noted()}
    assert notes_from_json(notes_as_json(notes)) == notes
    assert digest_of_notes(notes_from_json(notes_as_json(notes))) == digest_of_notes(notes)
