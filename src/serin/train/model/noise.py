"""NEFTune: noise on the embeddings while training (Jain et al. 2023, arXiv 2310.05914)."""

from typing import Any

import torch


class EmbeddingNoise:
    """Adds uniform noise of up to alpha / sqrt(length x width) to each example's embeddings, in training mode alone.

    The length is that of the example, so that packing changes nothing: ``lengths`` has to be set before each forward pass.
    """

    def __init__(self, embeddings: torch.nn.Module, alpha: float) -> None:
        self.alpha = alpha
        self.lengths: tuple[int, ...] = ()
        embeddings.register_forward_hook(self._add)

    def _add(self, module: torch.nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:  # noqa: ARG002 - torch's
        if not module.training:
            return output
        lengths = torch.tensor(self.lengths, device=output.device)
        size = self.alpha / torch.sqrt(lengths * output.shape[-1]).to(output.dtype)
        per_token = size[:, None, None] if output.shape[0] == len(self.lengths) else _spread(size, lengths)
        return output + (2 * torch.rand_like(output) - 1) * per_token


def _spread(size: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    return size.repeat_interleave(lengths)[None, :, None]
