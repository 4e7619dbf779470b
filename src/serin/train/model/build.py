"""The model in the form that it is trained in: NF4 or plain with an adapter, or whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from serin.core.errors import ConfigError
from serin.core.params import TrainParams
from serin.lm.device import compute_dtype, default_device
from serin.lm.load import load_for_training
from serin.train.model.counts import Counts, count
from serin.train.model.experts import notes_on
from serin.train.model.lora import attach_adapter
from serin.train.model.noise import EmbeddingNoise
from serin.train.model.save import save_adapter, save_weights
from serin.train.model.tokens import grow_embeddings, tables_of
from serin.train.sharding import fill


@dataclass(frozen=True, slots=True)
class Group:
    """Weights that the optimizer updates alike, by name."""

    weights: Mapping[str, torch.nn.Parameter]
    rate_ratio: float = 1.0
    """Times the learning rate: LoRA+ gives B matrices a higher one."""
    decays: bool = True
    """Whether weight decay applies."""


@dataclass(frozen=True, slots=True)
class TrainableModel:
    """What the loop trains. Everything in ``trained`` is float32, whatever the forward pass computes in."""

    module: torch.nn.Module
    """Takes what transformers' causal LMs take."""
    tokenizer: PreTrainedTokenizerBase
    params: TrainParams
    dtype: torch.dtype
    """Of the forward pass; where it is not float32, enter autocast."""
    trained: Mapping[str, torch.nn.Parameter]
    counts: Counts
    notes: tuple[str, ...]
    """What people should know of it."""
    noise: EmbeddingNoise | None

    def groups(self) -> list[Group]:
        """Weights by learning rate and decay: biases, norms and magnitudes do not decay."""
        ratio = self.params.lora.plus_ratio or 1.0
        groups = []
        for is_b in (False, True):
            for decays in (True, False):
                named = {
                    name: weight
                    for name, weight in self.trained.items()
                    if (".lora_B." in name) == is_b and (weight.ndim > 1) == decays
                }
                groups.append(Group(named, ratio if is_b else 1.0, decays))
        return groups

    def weights(self) -> dict[str, torch.Tensor]:
        """What is trained, by name, as it is now."""
        return {name: weight.detach() for name, weight in self.trained.items()}

    @torch.no_grad()
    def restore(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Take on weights that ``weights`` gave."""
        for name, weight in self.trained.items():
            fill(weight, weights[name])

    def save(self, folder: Path, weights: Mapping[str, torch.Tensor] | None = None) -> None:
        """Write the adapter, or with ``method: full`` the whole model: ``weights``, where the module has them in parts."""
        if isinstance(self.module, PeftModel):
            save_adapter(self.module, folder)
            if self.params.added_tokens:
                self.tokenizer.save_pretrained(str(folder))
        else:
            assert isinstance(self.module, PreTrainedModel)
            save_weights(self.module, self.tokenizer, folder, weights)


def build(
    params: TrainParams,
    base: Path,
    tokenizer: PreTrainedTokenizerBase,
    pieces: list[list[int]],
    device: torch.device | None = None,
) -> TrainableModel:
    """Load the base and make it trainable as params say.

    Args:
        params: of the stage.
        base: the model's folder.
        tokenizer: with ``added_tokens`` in it.
        pieces: what each added token was cut into before.
        device: where the weights go; None: to this process's GPU, or the CPU.

    Raises:
        ConfigError: params that the base cannot be trained with.
    """
    dtype = compute_dtype(params.dtype, default_device())
    device = device or default_device()
    is_full = params.method == "full"
    model = load_for_training(
        base, params.method == "qlora", torch.float32 if is_full else dtype, params.attention, device
    )
    vocabulary = tokenizer.get_vocab()
    added = [vocabulary[token] for token in params.added_tokens]
    grow_embeddings(model, added, pieces)
    rows = _rows_of(model, added) if added else None
    if params.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    notes = notes_on(model, params)
    module: torch.nn.Module = model if is_full else attach_adapter(model, params, rows)
    # Not before: an adapter that trains embeddings puts a layer of its own in their place.
    noise = EmbeddingNoise(model.get_input_embeddings(), params.neftune_alpha) if params.neftune_alpha else None
    trained = {name: weight for name, weight in module.named_parameters() if weight.requires_grad}
    for weight in trained.values():
        weight.data = weight.data.float()
    if not trained:
        raise ConfigError("nothing of the model is trained: look at train.lora.target_modules")
    return TrainableModel(module, tokenizer, params, dtype, trained, count(module), notes, noise)


def _rows_of(model: PreTrainedModel, added: list[int]) -> dict[str, list[int]]:
    """The added rows by the name of the embeddings, and of the head where it has weights of its own."""
    names = {id(module): name.rpartition(".")[2] for name, module in model.named_modules()}
    return {names[id(table)]: added for table in tables_of(model)}
