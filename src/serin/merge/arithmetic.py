"""How one weight changes: computed in float32 and rounded once."""

from dataclasses import dataclass

import torch

from serin.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class LowRank:
    """W + scale x B·A (Hu et al. 2021, arXiv 2106.09685, §4.1), and with ``magnitude`` its outputs set to that length.

    The latter is DoRA (Liu et al. 2024, arXiv 2402.09353, eq. 5), with the norms as PEFT takes them: one per output.
    """

    a: torch.Tensor
    """(r, in)."""
    b: torch.Tensor
    """(out, r)."""
    scale: float
    transposed: bool = False
    """Whether the weight is kept as (in, out), as by GPT-2's Conv1D and by embeddings."""
    magnitude: torch.Tensor | None = None
    """(out,), of DoRA."""

    def apply(self, weight: torch.Tensor) -> torch.Tensor:
        """The changed weight, float32. Raises ValueError with the shape that was expected of it."""
        outputs, inputs = self.b.shape[0], self.a.shape[1]
        _expect(weight, (inputs, outputs) if self.transposed else (outputs, inputs))
        delta = self.scale * (self.b.float() @ self.a.float())
        changed = weight.float() + (delta.T if self.transposed else delta)
        if self.magnitude is None:
            return changed
        over = 0 if self.transposed else 1
        factors: torch.Tensor = self.magnitude.float() / torch.linalg.norm(changed, dim=over)
        return changed * factors.unsqueeze(over)


@dataclass(frozen=True, slots=True)
class Whole:
    """Another tensor in the place of the weight."""

    tensor: torch.Tensor

    def apply(self, weight: torch.Tensor) -> torch.Tensor:
        """The changed weight, float32. Raises ValueError with the shape that was expected of it."""
        _expect(weight, tuple(self.tensor.shape))
        return self.tensor.float()


@dataclass(frozen=True, slots=True)
class Rows:
    """Other rows in an embedding or a head; those past its end are appended."""

    indices: tuple[int, ...]
    tensor: torch.Tensor
    """(rows, width)."""

    def apply(self, weight: torch.Tensor) -> torch.Tensor:
        """The changed weight, float32. Raises ValueError with the shape that was expected of it."""
        first_new = weight.shape[0]
        new = sorted(index for index in self.indices if index >= first_new)
        if new != list(range(first_new, first_new + len(new))):
            raise ValueError(f"at least {max(self.indices)} rows, so that none is missing below the last new one")
        _expect(weight, (first_new, self.tensor.shape[1]))
        changed = torch.cat([weight.float(), torch.empty(len(new), weight.shape[1])])
        changed[list(self.indices)] = self.tensor.float()
        return changed


Update = LowRank | Whole | Rows


def merge_tensor(name: str, weight: torch.Tensor, update: Update | None, dtype: torch.dtype) -> torch.Tensor:
    """The merged tensor in ``dtype``; without an update, and where the dtype is the same, bit by bit what it was.

    Raises:
        ConfigError: the shapes differ, the result is not finite, or a value does not fit into ``dtype``.
    """
    if update is None:
        return _round(name, weight, dtype) if weight.is_floating_point() else weight
    try:
        changed = update.apply(weight)
    except ValueError as error:
        raise ConfigError(
            f"{name} is {tuple(weight.shape)} in the base, and the adapter changes one of {error}: it was trained on "
            "another base model"
        ) from error
    if not bool(torch.isfinite(changed).all()):
        raise ConfigError(f"{name} is not finite after the merge: the adapter or the base is damaged, train again")
    return _round(name, changed, dtype)


def _round(name: str, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    rounded = tensor.to(dtype)
    if dtype == torch.float16 and not torch.equal(torch.isfinite(rounded), torch.isfinite(tensor)):
        raise ConfigError(
            f"merge.dtype = 'float16': {name} holds values up to {float(tensor.abs().max()):.3g}, and float16 ends at "
            "65504; set it to bfloat16"
        )
    return rounded


def _expect(weight: torch.Tensor, shape: tuple[int, ...]) -> None:
    if tuple(weight.shape) != shape:
        raise ValueError(str(shape))
