"""How one weight changes: computed in float32, by blocks of rows, and rounded once.

The product of a block of rows is, bit for bit, those rows of the whole product, as long as the number of rows is a power of two:
the kernels of a matrix product work on tiles, and a tile that is cut elsewhere may sum in another order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import torch

from serin.core.errors import ConfigError, InputError
from serin.merge.weights import Weight

_BLOCK_ELEMENTS = 1 << 19

RowsOf = Callable[[int, int], torch.Tensor]
"""Gives the float32 rows from the first number up to the second; they are the caller's until the next call."""


@dataclass(frozen=True, slots=True)
class LowRank:
    """W + scale x B·A (Hu et al. 2021, arXiv 2106.09685, §4.1), and with ``magnitude`` its outputs set to that length.

    The latter is DoRA (Liu et al. 2024, arXiv 2402.09353, eq. 5), with the norms as PEFT takes them: one per output.
    """

    a: Weight
    """(r, in)."""
    b: Weight
    """(out, r)."""
    scale: float
    transposed: bool = False
    """Whether the weight is kept as (in, out), as by GPT-2's Conv1D and by embeddings."""
    magnitude: Weight | None = None
    """(out,), of DoRA."""

    def shape(self, weight: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the changed weight. Raises ValueError with the shape that was expected of the weight."""
        outputs, inputs = self.b.shape[0], self.a.shape[1]
        return _expected(weight, (inputs, outputs) if self.transposed else (outputs, inputs))

    def rows(self, weight: Weight) -> RowsOf:
        """What gives the rows of the changed weight."""
        a, b = self.a.read().float(), self.b.read().float()

        def changed(start: int, stop: int) -> torch.Tensor:
            # (b·a)ᵀ by columns, and not aᵀ·bᵀ: another product could sum in another order
            delta = (b @ a[:, start:stop]).T if self.transposed else b[start:stop] @ a
            return delta.mul_(self.scale).add_(weight.rows(start, stop).float())

        if self.magnitude is None:
            return changed
        magnitude = self.magnitude.read().float()
        if not self.transposed:

            def of_length(start: int, stop: int) -> torch.Tensor:
                block = changed(start, stop)
                return block.mul_((magnitude[start:stop] / torch.linalg.norm(block, dim=1)).unsqueeze(1))

            return of_length
        factors = magnitude / _norms_of_columns(changed, weight.shape)
        return lambda start, stop: changed(start, stop).mul_(factors)


@dataclass(frozen=True, slots=True)
class Whole:
    """Another tensor in the place of the weight."""

    tensor: Weight

    def shape(self, weight: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the changed weight. Raises ValueError with the shape that was expected of the weight."""
        return _expected(weight, self.tensor.shape)

    def rows(self, weight: Weight) -> RowsOf:  # noqa: ARG002 - the others'
        """What gives the rows of the changed weight."""
        return lambda start, stop: self.tensor.rows(start, stop).float()


@dataclass(frozen=True, slots=True)
class Rows:
    """Other rows in an embedding or a head; those past its end are appended."""

    indices: tuple[int, ...]
    tensor: Weight
    """(rows, width)."""

    def shape(self, weight: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the changed weight. Raises ValueError with the shape that was expected of the weight."""
        new = sorted(index for index in self.indices if index >= weight[0])
        if new != list(range(weight[0], weight[0] + len(new))):
            raise ValueError(f"at least {max(self.indices)} rows, so that none is missing below the last new one")
        _expected(weight, (weight[0], self.tensor.shape[1]))
        return (weight[0] + len(new), weight[1])

    def rows(self, weight: Weight) -> RowsOf:
        """What gives the rows of the changed weight."""
        others = self.tensor.read().float()
        place = {index: i for i, index in enumerate(self.indices)}

        def changed(start: int, stop: int) -> torch.Tensor:
            last = min(stop, weight.shape[0])
            block = torch.empty(stop - start, weight.shape[1])
            if start < last:
                block[: last - start] = weight.rows(start, last)
            for index in range(start, stop) if stop - start < len(place) else place:
                if start <= index < stop and index in place:
                    block[index - start] = others[place[index]]
            return block

        return changed


Update = LowRank | Whole | Rows


def shape_after(name: str, shape: tuple[int, ...], update: Update | None) -> tuple[int, ...]:
    """The shape that ``name`` has once it is merged. Raises ConfigError where the update is for another shape."""
    if update is None:
        return shape
    try:
        return update.shape(shape)
    except (ValueError, IndexError) as error:
        raise ConfigError(
            f"{name} is {shape} in the base, and the adapter changes one of {error}: it was trained on another base model"
        ) from error


def rows_in_a_block(shape: tuple[int, ...]) -> int:
    """How many rows are merged at once: a power of two, and at most 2 MiB of float32 unless one row is larger."""
    rows = max(1, _BLOCK_ELEMENTS // max(1, prod(shape[1:])))
    return 1 << (rows.bit_length() - 1)


def round_block(name: str, block: torch.Tensor, dtype: torch.dtype, changed: bool) -> torch.Tensor:
    """The block in ``dtype``.

    Raises:
        ConfigError: the merge made it not finite, or a value does not fit into ``dtype``.
        InputError: it holds NaN, and nothing changed it.
    """
    # A sum is not finite where a value is not, and reads the block once; it may also overflow, so then look at each.
    if block.is_floating_point() and not bool(block.sum(dtype=torch.float32).isfinite()):
        if changed and not bool(torch.isfinite(block).all()):
            raise ConfigError(f"{name} is not finite after the merge: the adapter or the base is damaged, train again")
        if bool(torch.isnan(block).any()):
            raise InputError(f"{name} holds NaN: the model is damaged, restore it")
    if block.dtype == dtype or not block.is_floating_point():
        return block
    rounded = block.to(dtype)
    if dtype == torch.float16 and not torch.equal(torch.isfinite(rounded), torch.isfinite(block)):
        raise ConfigError(
            f"merge.dtype = 'float16': {name} holds values up to {float(block.abs().max()):.3g}, and float16 ends at "
            "65504; set it to bfloat16"
        )
    return rounded


def _norms_of_columns(rows: RowsOf, shape: tuple[int, ...]) -> torch.Tensor:
    """The length of each column, float32. Summed in float64, so that it does not depend on where blocks are cut."""
    squares = torch.zeros(shape[1], dtype=torch.float64)
    step = rows_in_a_block(shape)
    for start in range(0, shape[0], step):
        squares += rows(start, min(start + step, shape[0])).double().square_().sum(dim=0)
    return squares.sqrt().float()


def _expected(found: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[int, ...]:
    if found != wanted:
        raise ValueError(str(wanted))
    return wanted
