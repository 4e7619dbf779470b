"""From the names that parameters have in the model to those that tensors have in the base's files.

They differ where files leave out the prefix of the inner model, where transformers has renamed something, and where it keeps the
experts of a layer in one parameter and files each on its own. Its own conversions for saving say how.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from transformers import PreTrainedModel
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import (
    PrefixChange,
    WeightConverter,
    WeightRenaming,
    rename_source_key,
    revert_weight_conversion,
)

from serin.core.errors import ConfigError
from serin.merge.adapter import ExpertsLowRank
from serin.merge.arithmetic import LowRank, Rows, Update
from serin.merge.skeleton import skeleton_of
from serin.merge.weights import Held, stored_in_model

_SERVED_TIED = frozenset({"gemma2", "gemma3n_text", "cohere", "cohere2", "cohere2_moe"})
"""Types of models whose logits vLLM 0.32 computes from the embeddings, whatever the config says (vllm/model_executor/models)."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What the merge does to a model's files."""

    updates: Mapping[str, Update] = field(default_factory=dict)
    """By the name of the tensor."""
    parted: Mapping[str, str] = field(default_factory=dict)
    """New tensors, by name, and the one that each begins as: they were tied, and their updates differ."""
    unties: bool = False
    """Whether embeddings and head were tied and no longer are."""
    vocabulary: int | None = None
    """Rows of embeddings and head, where these grow."""


def place(updates: Mapping[str, Update | ExpertsLowRank], base: Path) -> Changes:
    """What an adapter's updates, by parameter, do to the files of the base.

    Raises:
        ConfigError: a weight that the base does not have, or keeps in a way that merge does not know.
    """
    names = Names(skeleton_of(base), frozenset(stored_in_model(base)))
    tied = names.model.all_tied_weights_keys
    apart = [(twin, source) for twin, source in tied.items() if updates.get(twin) is not updates.get(source)]
    if apart and names.model.config.model_type in _SERVED_TIED:
        raise ConfigError(
            f"the adapter changes embeddings and head apart, and vLLM serves a {names.model.config.model_type} with both as one "
            "only: train without them in lora.target_modules and lora.modules_to_save"
        )
    parted: dict[str, str] = {}
    for twin, source in apart:
        parted |= names.part(twin, source)
    placed: dict[str, Update] = {}
    for parameter, update in updates.items():
        name = names.of(parameter)
        if isinstance(update, ExpertsLowRank):
            placed |= names.of_experts(parameter, update)
        elif name in names.stored or name in parted:
            placed[name] = update
        elif not any(parameter in pair and names.has(*pair) for pair in tied.items()):
            raise names.absent(name)
    return Changes(placed, parted, bool(apart), _grown(updates, names.model))


def _grown(updates: Mapping[str, Update | ExpertsLowRank], model: PreTrainedModel) -> int | None:
    """The new number of rows, if it is another. Raises ConfigError where only one of embeddings and head would have them."""
    by_table = {name: max(update.indices) + 1 for name, update in updates.items() if isinstance(update, Rows)}
    before, after = model.config.get_text_config().vocab_size, max(by_table.values(), default=0)
    if after <= before:
        return None
    tables = [model.get_input_embeddings(), model.get_output_embeddings()]  # type: ignore[no-untyped-call]  # transformers'
    owners = {id(module): f"{name}.weight" for name, module in model.named_modules()}
    if lacking := [owners[id(t)] for t in tables if t is not None and by_table.get(owners[id(t)]) != after]:
        raise ConfigError(
            f"the adapter adds tokens, but {lacking[0]} has no rows for them: merge needs them in every table"
        )
    return after


class Names:
    """Names of parameters, by the conversions of one model, among the tensors ``stored`` in its files."""

    def __init__(self, model: PreTrainedModel, stored: frozenset[str]) -> None:
        self.model, self.stored = model, stored
        # Without PrefixChange, as transformers itself saves a model that was not loaded from files.
        loading = [c for c in get_model_conversion_mapping(model, add_legacy=False) if not isinstance(c, PrefixChange)]
        saving = [conversion.reverse_transform() for conversion in reversed(loading)]
        self._renamings = [c for c in saving if isinstance(c, WeightRenaming)]
        self._converters = [c for c in saving if isinstance(c, WeightConverter)]

    def of(self, parameter: str) -> str:
        """The name in the files, whether or not it is there."""
        name, _ = rename_source_key(parameter, self._renamings, self._converters, reverse=True)
        short = name.removeprefix(f"{self.model.base_model_prefix}.")
        return short if name not in self.stored and short in self.stored else name

    def has(self, *parameters: str) -> bool:
        """Whether one of them is in the files."""
        return any(self.of(parameter) in self.stored for parameter in parameters)

    def part(self, twin: str, source: str) -> dict[str, str]:
        """Which of two tied weights has to be added to the files, and which is there to begin from."""
        here = [name for name in (self.of(source), self.of(twin)) if name in self.stored]
        if not here:
            raise self.absent(source)
        return {name: here[0] for name in (self.of(twin), self.of(source)) if name not in self.stored}

    def of_experts(self, parameter: str, update: ExpertsLowRank) -> dict[str, Update]:
        """The update of each tensor that the files have for the experts.

        What is split are B's rows, each with the number of its expert written behind it, so that a piece tells whose A it needs.
        """
        experts, outputs, rank = update.b.shape
        numbers = torch.arange(experts, dtype=torch.float32)[:, None, None].expand(experts, outputs, 1)
        stack = torch.cat([update.b.float(), numbers], dim=2)
        placed: dict[str, Update] = {}
        for name, piece in revert_weight_conversion(self.model, {parameter: stack}).items():
            if piece.ndim != 2 or piece.shape[1] != rank + 1:
                raise ConfigError(f"the base keeps the experts of {parameter} in a way that merge does not know")
            if name not in self.stored:
                raise self.absent(name)
            placed[name] = LowRank(Held(update.a[int(piece[0, rank])]), Held(piece[:, :rank]), update.scale)
        return placed

    def absent(self, name: str) -> ConfigError:
        """The error for a weight that is not in the files."""
        return ConfigError(
            f"the adapter changes {name}, and the base has no such weight: it was trained on another base model, or the "
            "base's files name their weights in an old way; load and save it with transformers, make that the base, train again"
        )
