"""What training wrote, as far as a merge has to know it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from serin.clients.files import read_json, read_manifest
from serin.core.errors import ConfigError
from serin.core.manifest import MANIFEST, Manifest
from serin.core.params import TrainParams
from serin.lm.adapted import is_trained_on_nf4
from serin.lm.device import compute_dtype, default_device
from serin.lm.nf4 import NOTES, Noted, notes_from_json


@dataclass(frozen=True, slots=True)
class Trained:
    """An adapter, a whole model, or nothing: the base itself is then made servable."""

    folder: Path | None
    is_adapter: bool
    inputs: Mapping[str, str]
    """Digests of the base and of what was trained, by word."""
    params: TrainParams | None
    """It was trained with."""

    @property
    def on_nf4(self) -> bool:
        """Whether it was trained against weights in NF4."""
        if self.folder is None or not self.is_adapter or self.params is None:
            return False
        return is_trained_on_nf4(self.folder)

    @property
    def notes(self) -> dict[str, Noted] | None:
        """What training noted of the weights in NF4; None by a version of Serin that did not."""
        path = self.folder / NOTES if self.folder is not None else None
        return notes_from_json(read_json(path)) if path is not None and path.is_file() else None

    @property
    def dtype(self) -> torch.dtype:
        """That training computed in."""
        assert self.params is not None
        return compute_dtype(self.params.dtype, default_device())


def read_trained(folder: Path | None, base_digest: str) -> Trained:
    """Read and verify it.

    Raises:
        ConfigError: it comes from another base.
        InputError: it is damaged.
    """
    if folder is None:
        return Trained(None, False, {"base": base_digest}, None)
    kind = "weights" if read_json(folder / MANIFEST).get("kind") == "weights" else "adapter"
    made = read_manifest(folder, kind, verify=True)
    if made.inputs["base"] != base_digest:
        raise ConfigError(
            f"{folder} was trained on the base {made.inputs['base'][:12]}, and this base is {base_digest[:12]}: merge "
            "it with its own base, or train again"
        )
    inputs = {"base": base_digest, kind: made.digest, "dataset": made.inputs["dataset"]}
    return Trained(folder, kind == "adapter", inputs, _params_of(made))


def _params_of(made: Manifest) -> TrainParams | None:
    """None where another version of Serin trained, with params that this one does not know."""
    try:
        return TrainParams.model_validate(made.params)
    except ValueError:
        return None
