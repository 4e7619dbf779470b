"""The model that will be trained, as shapes: built by the code that training uses, on a device that holds no data."""

from typing import Any

import bitsandbytes
import torch
from torch import nn
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PretrainedConfig, PreTrainedModel
from transformers.quantizers.quantizer_bnb_4bit import Bnb4BitHfQuantizer

from serin.core.params import TrainParams
from serin.lm.attention import BLOCKS
from serin.train.model.lora import attach_adapter
from serin.train.model.tokens import tables_of

_BLOCK = 64
_BLOCKS_OF_SCALES = 256


def outline(config: PretrainedConfig, params: TrainParams, dtype: torch.dtype, attention: str) -> nn.Module:
    """The module that ``train.model.build`` would give, on the meta device; ``dtype`` is that of the forward pass.

    Raises:
        ConfigError: params that the base cannot be trained with, as ``build`` raises them.
    """
    is_full = params.method == "full"
    config._attn_implementation = "sdpa" if attention == BLOCKS else attention
    with torch.device("meta"):
        make: Any = AutoModelForCausalLM.from_config  # untyped in transformers
        model: PreTrainedModel = make(config, dtype=torch.float32 if is_full else dtype)
    if attention == BLOCKS and model._supports_attention_backend:
        model.set_attn_implementation(BLOCKS)
    if params.method == "qlora":
        _replace_linears(model, dtype)
    if params.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    new = params.model_copy(update={"start_from": None})
    return model if is_full else attach_adapter(model, new, _added_rows(model, params))


def give_storage(module: nn.Module) -> None:
    """Put tensors of the CPU in the place of those of the meta device, 4-bit weights packed; enter FakeTensorMode before it.

    What is trained becomes float32, as ``build`` has it; tied weights stay tied.
    """
    given: dict[int, nn.Parameter] = {}
    for layer in list(module.modules()):
        for name, buffer in layer._buffers.items():
            if buffer is not None:
                layer._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype)
        for name, weight in layer._parameters.items():
            if weight is not None:
                if id(weight) not in given:
                    given[id(weight)] = _packed(weight) if _is_quantised(layer, name) else _plain(weight)
                layer._parameters[name] = given[id(weight)]


def _is_quantised(layer: nn.Module, name: str) -> bool:
    return isinstance(layer, bitsandbytes.nn.Linear4bit) and name == "weight"


def _plain(weight: nn.Parameter) -> nn.Parameter:
    dtype = torch.float32 if weight.requires_grad else weight.dtype
    return nn.Parameter(torch.empty(weight.shape, dtype=dtype), requires_grad=weight.requires_grad)


def _packed(weight: nn.Parameter) -> nn.Parameter:
    """NF4 with double quantisation: 4 bits a weight, 8 bits a block of 64, float32 a group of 256 blocks."""
    size = weight.shape.numel()
    blocks = -(-size // _BLOCK)
    state = bitsandbytes.functional.QuantState
    scales = state(
        absmax=torch.empty(-(-blocks // _BLOCKS_OF_SCALES)),
        code=torch.empty(256),
        blocksize=_BLOCKS_OF_SCALES,
        dtype=torch.float32,
    )
    packed: Any = nn.Parameter(torch.empty((size + 1) // 2, 1, dtype=torch.uint8), requires_grad=False)
    packed.quant_state = state(
        absmax=torch.empty(blocks, dtype=torch.uint8),
        shape=weight.shape,
        code=torch.empty(16),
        blocksize=_BLOCK,
        quant_type="nf4",
        dtype=weight.dtype,
        offset=torch.empty(()),
        state2=scales,
    )
    return packed  # type: ignore[no-any-return]  # Any, to hang the quantisation's state on it


def _replace_linears(model: PreTrainedModel, dtype: torch.dtype) -> None:
    """Put 4-bit layers where ``from_pretrained`` puts them: transformers itself decides which layers are left out."""
    quantisation = BitsAndBytesConfig(  # type: ignore[no-untyped-call]  # untyped in transformers
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
    quantizer: Any = Bnb4BitHfQuantizer(quantisation, pre_quantized=False)  # type: ignore[no-untyped-call]  # untyped there
    quantizer.preprocess_model(model, device_map={"": "cpu"})
    quantizer.postprocess_model(model)
    for layer in model.modules():
        if isinstance(layer, bitsandbytes.nn.Linear4bit):
            # bitsandbytes' own parameter cannot be copied before it is quantised, and PEFT copies it for DoRA.
            kept: Any = nn.Parameter(torch.empty(layer.weight.shape, dtype=dtype, device="meta"), requires_grad=False)
            kept.compress_statistics, kept.quant_type = layer.weight.compress_statistics, layer.weight.quant_type
            layer.weight = kept


def _added_rows(model: PreTrainedModel, params: TrainParams) -> dict[str, list[int]] | None:
    """Stand-ins for the rows of added tokens: how many there are decides, not which."""
    if not params.added_tokens:
        return None
    tables = tables_of(model)
    size = tables[0].weight.shape[0]
    rows = list(range(size - len(params.added_tokens), size))
    return {name.rpartition(".")[2]: rows for name, module in model.named_modules() if any(module is t for t in tables)}
