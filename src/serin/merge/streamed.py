"""A forward pass with one linear layer in memory at a time, in float32: models are compared that would not fit.

The model is built without weights. A layer's are read just before it computes, and dropped right after. Of the embeddings only
the rows that are asked for are read, and the head computes by blocks of rows, since a large vocabulary makes these two the
largest of all. Where a model uses the weights of a linear layer without calling it, whole decoder layers are read at once.
"""

import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from peft.utils.integrations import init_empty_weights
from peft.utils.other import AuxiliaryTrainingWrapper
from torch.utils.hooks import RemovableHandle
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from serin.clients.files import read_json
from serin.lm.load import load_model, read_config
from serin.merge.adapter import ADAPTER, without_weights
from serin.merge.arithmetic import rows_in_a_block
from serin.merge.base import Base
from serin.merge.placement import Names
from serin.merge.threads import one_thread
from serin.merge.weights import Stored, stored_in, stored_in_model

_PEFT_PARTS = re.compile(r"^base_model\.model\.|\.(?:base_layer|original_module|token_adapter)(?=\.)")
_IN_A_LAYER = re.compile(r"^(.*?\.\d+)\.")

Seen = Callable[[str, torch.Tensor], torch.Tensor]
"""Sees a stored tensor's name and its values, float32, and may give others."""
Spare = defaultdict[tuple[int, ...], list[torch.Tensor]]
"""Tensors that hold nothing any more, by shape."""


@dataclass(frozen=True, slots=True)
class _Hole:
    """A parameter that is not in memory."""

    owner: torch.nn.Module
    attribute: str
    shape: tuple[int, ...]
    """That the model has it in: with rows of new tokens."""
    stored: Stored

    def fill(self, values: torch.Tensor) -> None:
        """Put values there."""
        self.owner._parameters[self.attribute] = torch.nn.Parameter(values, requires_grad=False)

    def empty(self) -> torch.Tensor | None:
        """Take them away. None is left: torch computes nonsense with tensors of the meta device, and raises nothing."""
        values = self.owner._parameters[self.attribute]
        self.owner._parameters[self.attribute] = None
        return values.data if values is not None else None


class Streamed:
    """A model in a folder, perhaps with an adapter on it, that gives logits."""

    def __init__(
        self,
        folder: Path,
        onto: Base,
        adapter: Path | None = None,
        vocabulary: int | None = None,
        seen: Seen = lambda _, values: values,
        spare: Spare | None = None,
    ) -> None:
        """Build it without weights; where it keeps some in a way that cannot be read tensor by tensor, with all of them.

        Args:
            folder: of the model.
            onto: gives its weights.
            adapter: to put on it, by PEFT, unmerged.
            vocabulary: rows that embeddings and head have with the adapter; None: as many as they have.
            seen: may change values.
            spare: memory of layers that models share, one computing after the other.
        """
        self._stored = stored_in_model(folder)
        self._onto, self._seen = onto, seen
        self._ids = torch.empty(0, dtype=torch.long)
        self._holes: list[tuple[str, _Hole]] = []
        self._handles: list[RemovableHandle] = []
        self._coarse = False
        self._spare = spare if spare is not None else Spare(list)
        self._learnt = stored_in(adapter / "adapter_model.safetensors") if adapter is not None else {}
        model = _empty(folder, vocabulary)
        self._names = Names(model, frozenset(self._stored))
        self._tied = dict(model.all_tied_weights_keys)
        holes = {name: self._find(name) for name, _ in model.named_parameters(remove_duplicate=False)}
        self.is_streamed = all(name is not None for name in holes.values())
        if not self.is_streamed:
            model = self._whole(folder, vocabulary)
        self._model = model
        self.module: torch.nn.Module = model
        if adapter is not None and self.is_streamed:
            self.module = without_weights(model, read_json(adapter / "adapter_config.json"), folder)
        elif adapter is not None:
            self.module = _with_adapter(model, adapter)
        if self.is_streamed:
            self._fill_buffers()
            self._find_holes()
            self._hook()
        self.module.eval()

    @property
    def vocabulary(self) -> int:
        """Rows of the embeddings."""
        size: int = self._model.config.get_text_config().vocab_size
        return size

    @property
    def has_experts(self) -> bool:
        """Whether it sends tokens to experts."""
        return any(".experts." in name for name, _ in self._model.named_parameters())

    @torch.no_grad()
    def logits(self, ids: torch.Tensor) -> torch.Tensor:
        """(rows, columns, vocabulary), float32, of token ids (rows, columns)."""
        self._ids = torch.unique(ids)
        try:
            with one_thread():
                found: torch.Tensor = self.module(input_ids=ids, use_cache=False).logits
        except (AttributeError, TypeError):  # a weight that is not there is None, and no operation takes that
            if not self._handles or self._coarse:
                raise
            self._coarse = True
            self._hook()
            return self.logits(ids)
        return found

    @torch.no_grad()
    def logits_without_adapter(self, ids: torch.Tensor) -> torch.Tensor:
        """Those of the base."""
        assert isinstance(self.module, PeftModel)
        with self.module.disable_adapter():
            return self.logits(ids)

    def _find(self, parameter: str) -> str | None:
        """The tensor in the files that a parameter is, or None."""
        twins = [parameter, self._tied.get(parameter), *(t for t, s in self._tied.items() if s == parameter)]
        names = [self._names.of(twin) for twin in twins if twin is not None]
        return next((name for name in names if name in self._stored), None)

    def _whole(self, folder: Path, vocabulary: int | None) -> PreTrainedModel:
        model = load_model(folder).cpu()
        if vocabulary is not None and vocabulary > model.config.get_text_config().vocab_size:
            model.resize_token_embeddings(vocabulary, mean_resizing=False)
        for parameter, values in model.named_parameters():
            name = self._find(parameter)
            if name is not None:
                weight = self._onto.weight(self._stored[name])
                values.data[: weight.shape[0]] = self._seen(name, weight.read().float())
            else:
                values.data = self._seen(parameter, values.data)
        return model

    def _fill_buffers(self) -> None:
        for name, buffer in self._model.named_buffers():
            stored = self._names.of(_PEFT_PARTS.sub("", name))
            if stored in self._stored:
                buffer.copy_(self._stored[stored].read())

    def _find_holes(self) -> None:
        """See which parameters are not there, and fill in the small ones of the adapter for good."""
        modules = dict(self.module.named_modules(remove_duplicate=False))
        for name, parameter in self.module.named_parameters(remove_duplicate=False):
            if not parameter.is_meta:
                continue
            path, _, attribute = name.rpartition(".")
            if (key := _key_of(name)) in self._learnt and key != name:
                hole = _Hole(modules[path], attribute, tuple(parameter.shape), self._learnt[key])
                if ".modules_to_save." not in name:  # and a tied head reads those of the embeddings
                    hole.fill(hole.stored.read().float())
                    continue
            else:
                stored = self._find(_PEFT_PARTS.sub("", name))
                assert stored is not None, name
                hole = _Hole(modules[path], attribute, tuple(parameter.shape), self._stored[stored])
            self._holes.append((path, hole))

    def _hook(self) -> None:
        """Have each part of the model filled before it computes, and emptied after."""
        for handle in self._handles:
            handle.remove()
        modules = dict(self.module.named_modules(remove_duplicate=False))
        units: dict[str, list[_Hole]] = defaultdict(list)
        for path, hole in self._holes:
            hole.empty()
            units[_unit_of(path, modules, self._coarse)].append(hole)
        embeddings, head = self._model.get_input_embeddings(), self._model.get_output_embeddings()  # type: ignore[no-untyped-call]  # transformers'
        for path, holes in units.items():
            unit = modules[path]
            if unit is head and type(unit) is torch.nn.Linear:
                # Not by assignment: to mypy a method of the class would change its type.
                unit.__dict__["forward"] = self._forward_by_blocks(unit.out_features, holes)
            elif unit is embeddings and isinstance(unit, torch.nn.Embedding):
                self._fill_around(unit, holes, self._rows_asked_for, keeps=False)
            else:
                self._fill_around(unit, holes, self._all_values, keeps=True)

    def _fill_around(
        self, unit: torch.nn.Module, holes: list[_Hole], values_of: Callable[[_Hole], torch.Tensor], keeps: bool
    ) -> None:
        def fill(*_: Any) -> None:
            for hole in holes:
                hole.fill(values_of(hole))

        def drop(*_: Any) -> None:
            for hole in holes:
                values = hole.empty()
                if keeps and values is not None:
                    self._spare[hole.shape].append(values)

        self._handles += [unit.register_forward_pre_hook(fill), unit.register_forward_hook(drop, always_call=True)]

    def _all_values(self, hole: _Hole) -> torch.Tensor:
        weight = self._onto.weight(hole.stored)
        if not weight.shape:
            return self._seen(hole.stored.name, weight.read().float())
        # The next layer gets the memory of the last: layers are of one size, and memory given back is not always free.
        spare = self._spare[hole.shape]
        values = spare.pop() if spare else torch.empty(hole.shape)
        height, step = weight.shape[0], rows_in_a_block(weight.shape)
        values[height:] = 0
        for start in range(0, height, step):
            stop = min(start + step, height)
            values[start:stop] = self._seen(hole.stored.name, weight.rows(start, stop).float())
        return values

    def _rows_asked_for(self, hole: _Hole) -> torch.Tensor:
        """A table that holds the rows of this pass; the others are zeros that take no memory until they are touched."""
        table = torch.from_numpy(np.zeros(hole.shape, dtype=np.float32))
        for row in self._ids.tolist():
            if row < hole.stored.shape[0]:
                table[row] = self._seen(hole.stored.name, hole.stored.rows(row, row + 1).float())[0]
        return table

    def _forward_by_blocks(self, wanted: int, holes: list[_Hole]) -> Callable[[torch.Tensor], torch.Tensor]:
        (weight,) = (hole.stored for hole in holes if hole.attribute == "weight")
        biases = [hole.stored for hole in holes if hole.attribute == "bias"]
        height = weight.shape[0]
        step = rows_in_a_block(weight.shape)

        def forward(hidden: torch.Tensor) -> torch.Tensor:
            found = hidden.new_zeros(*hidden.shape[:-1], wanted)
            for start in range(0, height, step):
                stop = min(start + step, height)
                rows = self._seen(weight.name, weight.rows(start, stop).float())
                found[..., start:stop] = torch.nn.functional.linear(hidden, rows)
            for bias in biases:
                found[..., : bias.shape[0]] += self._seen(bias.name, bias.read().float())
            return found

        return forward


def _empty(folder: Path, vocabulary: int | None) -> PreTrainedModel:
    """The model without weights, but with the buffers that it computes itself."""
    config = read_config(folder)
    text = config.get_text_config()
    if vocabulary is not None and vocabulary > text.vocab_size:
        text.vocab_size = vocabulary
    with init_empty_weights(include_buffers=False):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32)  # type: ignore[no-untyped-call]  # transformers'
    model.tie_weights()
    return model


def _with_adapter(model: PreTrainedModel, adapter: Path) -> PeftModel:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tied embeddings that an adapter parts: nothing is saved here
        found: PeftModel = PeftModel.from_pretrained(model, str(adapter), autocast_adapter_dtype=False)
    return found


def _key_of(parameter: str) -> str:
    """What PEFT calls a parameter of its own layers in an adapter's file."""
    key = parameter.replace(".modules_to_save.", ".").replace(f".{ADAPTER}", "")
    return key.removesuffix(".weight") if key.endswith(".lora_magnitude_vector.weight") else key


def _unit_of(path: str, modules: Mapping[str, torch.nn.Module], coarse: bool) -> str:
    """What is filled at once: PEFT's outermost layer, a linear layer, or the decoder layer around anything else."""
    parts = path.split(".")
    above = [".".join(parts[:n]) for n in range(1, len(parts) + 1)]
    wrapped = next((p for p in above if isinstance(modules[p], LoraLayer | AuxiliaryTrainingWrapper)), path)
    in_a_layer = _IN_A_LAYER.match(f"{path}.")
    alone = isinstance(modules[wrapped], LoraLayer | torch.nn.Linear | Conv1D)
    return in_a_layer.group(1) if in_a_layer and (coarse or not alone) else wrapped
