"""The weights that QLoRA trains against: the base's linear layers in NF4 with double quantisation, and what these decode to.

An adapter learns to correct a base that went through 4 bits, so the base that it belongs to is the decoded one. To meet it again
bit for bit, training notes each tensor's digest and its ``offset``, the mean of its blocks' scales: a mean is summed in an order
that depends on the number of threads, and everything else is a function of the weights.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import gcd
from typing import Any, Protocol

import torch
from bitsandbytes.functional import QuantState, dequantize_blockwise, quantize_blockwise
from bitsandbytes.nn import Linear4bit
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D
from transformers.quantizers.auto import AutoHfQuantizer

from serin.core.digest import digest_of
from serin.lm.load import nf4_config

NOTES = "nf4.json"
"""The file beside an adapter that holds what training noted."""
BLOCK = 64
"""Neighbouring weights that share a scale; bitsandbytes' default for 4 bits."""
_SCALES_BLOCK = 256
"""Neighbouring scales that share one of their own."""
_CODED_ELEMENTS = 1 << 22
"""How many weights are coded at once."""
_SHOWN_ROWS = 64
"""Decoded rows that a digest covers, so that it tells kernels apart that decode differently."""
_PEFT_PREFIX, _PEFT_LAYER = "base_model.model.", ".base_layer."


class Readable(Protocol):
    """A matrix that is read by rows."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Rows from ``start`` up to ``stop``."""

    def read(self) -> torch.Tensor:
        """The whole."""


@dataclass(frozen=True, slots=True)
class Noted:
    """What training notes of one tensor in NF4."""

    digest: str
    """SHA-256 of its codes and scales, and of some rows decoded."""
    offset: float
    """Float32."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A matrix in NF4: half a byte a weight, and its scales; all of it on one device."""

    codes: torch.Tensor
    """Two to a byte, row after row."""
    scales: torch.Tensor
    """Of each block, coded: uint8."""
    state: QuantState
    """Of the scales."""
    offset: torch.Tensor
    """Float32, of no dimension."""
    shape: tuple[int, ...]
    dtype: torch.dtype
    """Of the weights before, and of those that it decodes to."""

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Rows from ``start`` up to ``stop``, decoded."""
        height, width = self.shape
        if width % BLOCK:
            # bitsandbytes 0.50's kernel for CPUs with AVX-512 takes some rows' scales from their neighbours where rows are no
            # whole number of blocks. Training met those weights, so they are decoded as it decodes them: all at once.
            return self._decoded(0, height)[start:stop]
        return self._decoded(start, stop)

    def read(self) -> torch.Tensor:
        """The whole, decoded."""
        return self._decoded(0, self.shape[0])

    def noted(self) -> Noted:
        """Its digest and offset."""
        hasher = hashlib.sha256(f"{self.shape} {self.dtype}".encode())
        shown = self.rows(0, min(_SHOWN_ROWS, self.shape[0]))
        for part in (self.codes, self.scales, self.state.absmax, self.offset.reshape(1), shown):
            hasher.update(part.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return Noted(hasher.hexdigest(), float(self.offset))

    def _decoded(self, start: int, stop: int) -> torch.Tensor:
        begin, end = start * self.shape[1], stop * self.shape[1]
        scales = dequantize_blockwise(self.scales, self.state) + self.offset
        decoded: torch.Tensor = torch.ops.bitsandbytes.dequantize_4bit(
            self.codes[begin // 2 : (end + 1) // 2],
            scales[begin // BLOCK : -(-end // BLOCK)].contiguous(),
            BLOCK,
            "nf4",
            (stop - start, self.shape[1]),
            self.dtype,
        )
        return decoded


def quantised_weights(model: PreTrainedModel) -> dict[str, bool]:
    """The parameters that loading in NF4 quantises, and whether each is transposed before, as Conv1D's are.

    The model's layers are replaced, as they are when it is loaded so; give one on the meta device.
    """
    quantizer = AutoHfQuantizer.from_config(nf4_config(torch.float32))
    quantizer.preprocess_model(model, device_map={"": "cpu"})
    return {
        f"{name}.weight": issubclass(getattr(module, "source_cls", torch.nn.Linear), Conv1D)
        for name, module in model.named_modules()
        if isinstance(module, Linear4bit)
    }


def encode(
    weight: Readable, transposed: bool, dtype: torch.dtype, device: torch.device, offset: float | None = None
) -> Coded:
    """Quantise a matrix as loading it in NF4 does.

    Args:
        weight: (out, in), or (in, out) where it is ``transposed`` before; that is then read whole.
        transposed: see ``quantised_weights``.
        dtype: that the model is loaded in.
        device: whose kernels quantise and decode.
        offset: that training noted; None: the mean of the scales.
    """
    shape = weight.shape[::-1] if transposed else weight.shape
    codes, scales = [], []
    for block in _blocks(weight, transposed):
        packed, largest = torch.ops.bitsandbytes.quantize_4bit(
            block.to(device).to(dtype).contiguous(), BLOCK, "nf4", torch.uint8
        )
        codes.append(packed.reshape(-1))
        scales.append(largest)
    largest = torch.cat(scales)
    middle = largest.mean() if offset is None else torch.tensor(offset, dtype=torch.float32, device=device)
    coded, state = quantize_blockwise(largest - middle, blocksize=_SCALES_BLOCK)
    return Coded(torch.cat(codes), coded, state, middle, tuple(shape), dtype)


def note_nf4(model: torch.nn.Module) -> dict[str, Noted]:
    """What is to be noted of each tensor in NF4 of a loaded model, by the name that it has without an adapter."""
    found = {}
    for name, parameter in model.named_parameters():
        state: Any = getattr(parameter, "quant_state", None)
        if state is not None and state.nested:
            plain = name.removeprefix(_PEFT_PREFIX).replace(_PEFT_LAYER, ".")
            found[plain] = Coded(
                parameter.data.reshape(-1), state.absmax, state.state2, state.offset, tuple(state.shape), state.dtype
            ).noted()
    return found


def digest_of_notes(notes: Mapping[str, Noted]) -> str:
    """One digest over all tensors in NF4."""
    return digest_of({name: noted.digest for name, noted in notes.items()})


def notes_as_json(notes: Mapping[str, Noted]) -> dict[str, dict[str, str]]:
    """For a file; numbers as hexadecimal floats, so that no bit is lost."""
    return {name: {"digest": noted.digest, "offset": noted.offset.hex()} for name, noted in sorted(notes.items())}


def notes_from_json(value: Mapping[str, Mapping[str, str]]) -> dict[str, Noted]:
    """From a file."""
    return {name: Noted(noted["digest"], float.fromhex(noted["offset"])) for name, noted in value.items()}


def _blocks(weight: Readable, transposed: bool) -> Iterator[torch.Tensor]:
    if transposed:
        yield weight.read().T.contiguous()
        return
    height, width = weight.shape
    least = _aligned_rows(width)
    step = max(1, _CODED_ELEMENTS // (width * least)) * least
    for start in range(0, height, step):
        yield weight.rows(start, min(start + step, height))


def _aligned_rows(width: int) -> int:
    """The fewest rows that are a whole number of blocks."""
    return BLOCK // gcd(width, BLOCK)
