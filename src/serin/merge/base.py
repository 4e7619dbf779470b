"""The weights that an adapter is added to: the base's own, or those that QLoRA trained against, which went through NF4."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import torch

from serin.core.errors import ConfigError
from serin.lm.nf4 import Coded, Noted, encode, quantised_weights
from serin.merge.placement import Names
from serin.merge.skeleton import skeleton_of
from serin.merge.weights import Stored, Weight, stored_in_model

Kind = Literal["full", "dequantised"]


class Base(Protocol):
    """Where the merge takes a stored tensor's values from."""

    def touches(self, name: str) -> bool:
        """Whether the values of a stored tensor are others than the file's."""

    def weight(self, stored: Stored) -> Weight:
        """The tensor to begin from: ``stored`` itself where it is as it was."""


class FullBase:
    """The base's own weights."""

    def touches(self, name: str) -> bool:  # noqa: ARG002 - the interface's
        return False

    def weight(self, stored: Stored) -> Weight:
        return stored


@dataclass(frozen=True, slots=True)
class Decoded:
    """A weight that went through NF4, in the orientation that the file has it in."""

    coded: Coded
    transposed: bool

    @property
    def shape(self) -> tuple[int, ...]:
        return self.coded.shape[::-1] if self.transposed else self.coded.shape

    @property
    def dtype(self) -> torch.dtype:
        return self.coded.dtype

    def rows(self, start: int, stop: int) -> torch.Tensor:
        if self.transposed:
            return self.read()[start:stop]
        return self.coded.rows(start, stop).cpu()

    def read(self) -> torch.Tensor:
        whole = self.coded.read().cpu()
        return whole.T if self.transposed else whole


class DequantisedBase:
    """The weights that QLoRA trained against, quantised again as loading for training does, and compared with what it noted."""

    def __init__(self, folder: Path, notes: Mapping[str, Noted], dtype: torch.dtype, device: torch.device) -> None:
        """Read which weights are quantised.

        Args:
            folder: of the base.
            notes: that training made, by parameter.
            dtype: that training loaded the base in.
            device: whose kernels quantise.

        Raises:
            ConfigError: training quantised other weights, or the base keeps them in a way that merge does not know.
        """
        names = Names(skeleton_of(folder), frozenset(stored_in_model(folder)))
        self._transposed: dict[str, bool] = {}
        self._notes: dict[str, Noted] = {}
        self._dtype, self._device = dtype, device
        quantised = quantised_weights(skeleton_of(folder))
        if others := sorted(quantised.keys() ^ notes.keys()):
            raise ConfigError(
                f"training quantised other weights than loading this base in NF4 does here, such as {others[0]}: merge with the "
                "versions of transformers and bitsandbytes that trained it, or set merge.base: full"
            )
        for parameter, transposed in quantised.items():
            name = names.of(parameter)
            if name not in names.stored:
                raise ConfigError(
                    f"the base keeps {parameter} in a way that merge cannot quantise: set merge.base: full"
                )
            self._transposed[name] = transposed
            self._notes[name] = notes[parameter]

    def touches(self, name: str) -> bool:
        return name in self._transposed

    def weight(self, stored: Stored) -> Weight:
        """Raises Differs where it is not, bit for bit, what training had."""
        if stored.name not in self._transposed:
            return stored
        noted, transposed = self._notes[stored.name], self._transposed[stored.name]
        coded = encode(stored, transposed, self._dtype, self._device, noted.offset)
        if coded.noted() != noted:
            raise Differs(
                f"{stored.name} in NF4 is not here what it was in training: another device or another bitsandbytes quantises "
                "or decodes it differently; merge where it was trained, or set merge.base: full"
            )
        return Decoded(coded, transposed)


class Differs(ConfigError):
    """Quantising the base again gives other weights than training had."""
