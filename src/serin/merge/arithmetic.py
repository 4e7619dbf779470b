"""W + (alpha / r) B·A, one tensor at a time, in float32 and rounded once (Hu et al. 2021, arXiv 2106.09685, §4.1)."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from serin.core.errors import ConfigError

_PREFIX = "base_model.model."


@dataclass(frozen=True, slots=True)
class LowRank:
    """One layer's update: ``a`` of shape (r, in), ``b`` of shape (out, r), both float32."""

    a: torch.Tensor
    b: torch.Tensor
    scale: float

    @property
    def delta(self) -> torch.Tensor:
        """The update to the weight, of shape (out, in), float32."""
        return self.scale * (self.b @ self.a)


def updates_by_weight(tensors: Mapping[str, torch.Tensor], config: Mapping[str, object]) -> dict[str, LowRank]:
    """Pair the adapter's tensors, by the name of the base weight that each pair changes.

    Raises:
        ConfigError: a variant of LoRA that this merge does not know, or a tensor without its partner.
    """
    for field in ("use_dora", "use_rslora", "fan_in_fan_out", "rank_pattern", "alpha_pattern", "modules_to_save"):
        if config.get(field):
            raise ConfigError(f"the adapter has {field} = {config[field]!r}: merge knows plain LoRA only")
    scale = float(str(config["lora_alpha"])) / float(str(config["r"]))
    updates = {}
    for name, a in tensors.items():
        module, marker, _ = name.removeprefix(_PREFIX).partition(".lora_A.")
        if not marker:
            if ".lora_B." not in name:
                raise ConfigError(f"the adapter holds {name}: merge knows LoRA's A and B matrices only")
            continue
        b = tensors.get(name.replace(".lora_A.", ".lora_B."))
        if b is None or a.shape[0] != b.shape[1]:
            raise ConfigError(f"the adapter's {name} has no matching B: it is damaged, train again")
        updates[f"{module}.weight"] = LowRank(a.float(), b.float(), scale)
    return updates


def merge_tensor(name: str, weight: torch.Tensor, update: LowRank | None, dtype: torch.dtype) -> torch.Tensor:
    """The merged tensor in ``dtype``. Raises ConfigError where shapes differ or the result is not finite."""
    if update is None:
        return weight.to(dtype) if weight.is_floating_point() else weight
    if weight.shape != (update.b.shape[0], update.a.shape[1]):
        raise ConfigError(
            f"{name} is {tuple(weight.shape)} in the base and {(update.b.shape[0], update.a.shape[1])} in the adapter: "
            "the adapter was trained on another base model"
        )
    merged = (weight.float() + update.delta).to(dtype)
    if not bool(torch.isfinite(merged).all()):
        raise ConfigError(f"{name} is not finite after the merge: the adapter or the base is damaged, train again")
    return merged
