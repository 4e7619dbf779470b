"""In how many bits, and by which of llm-compressor's methods: a pure function of the scheme and of the layers' widths."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from serin.core.errors import ConfigError

SchemeName = Literal["w8a8-int8", "w4a16", "fp8"]

_HEAD: Final = "lm_head"
"""Stays as it is: it is small beside the layers, its errors reach every token, and it is often tied to the embeddings."""
_GROUPS: Final = (128, 64, 32)
"""Weights that share a scale: those for which vLLM has kernels on GPUs (Marlin) and CPUs, the cheapest first."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """One way to write weights in fewer bits, as compressed-tensors names them and vLLM serves them."""

    name: SchemeName
    preset: str
    """The scheme's name in compressed-tensors."""
    is_calibrated: bool
    """Whether it looks at activations."""
    is_grouped: bool
    """Whether scales are shared by groups of inputs, whose size has to divide every layer's width."""

    def group_size(self, widths: Mapping[str, int]) -> int | None:
        """How many weights share a scale, where groups of them do.

        Args:
            widths: inputs of each linear layer that will be quantised, by name.

        Raises:
            ConfigError: no size divides every width.
        """
        if not self.is_grouped:
            return None
        for size in _GROUPS:
            if all(width % size == 0 for width in widths.values()):
                return size
        name, width = next((name, width) for name, width in widths.items() if width % _GROUPS[-1])
        raise ConfigError(
            f"{self.name} scales weights in groups of {', '.join(map(str, _GROUPS[:-1]))} or {_GROUPS[-1]}, and {name} has "
            f"{width} inputs, which none of these divides: take --scheme w8a8-int8, which has no groups"
        )

    def recipe(self, group_size: int | None) -> list[tuple[str, dict[str, Any]]]:
        """The modifiers of llm-compressor, in order: the name that ``oneshot.py`` knows each by, and its arguments."""
        what: dict[str, Any] = {"targets": ["Linear"], "ignore": [_HEAD]}
        if group_size is None:
            what["scheme"] = self.preset
        else:
            weights = {
                "num_bits": 4,
                "type": "int",
                "symmetric": True,
                "strategy": "group",
                "group_size": group_size,
            }
            what = {"config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}}, "ignore": [_HEAD]}
        return [("gptq" if self.is_calibrated else "round", what)]


SCHEMES: Final[Mapping[SchemeName, Scheme]] = {
    # GPTQ: Frantar et al. 2022, arXiv 2210.17323. Activations are scaled a token at a time while serving.
    "w8a8-int8": Scheme("w8a8-int8", "W8A8", is_calibrated=True, is_grouped=False),
    "w4a16": Scheme("w4a16", "W4A16", is_calibrated=True, is_grouped=True),
    # Rounded to E4M3 (Micikevicius et al. 2022, arXiv 2209.05433), which needs no data.
    "fp8": Scheme("fp8", "FP8_DYNAMIC", is_calibrated=False, is_grouped=False),
}
