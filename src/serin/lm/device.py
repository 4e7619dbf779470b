"""Where a model computes: CUDA where there is one, the CPU otherwise."""

import torch


def default_device() -> torch.device:
    """The first GPU, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
