from pathlib import Path

import pytest
import torch

from serin.core.errors import ConfigError
from serin.lm.load import load_for_training
from serin.lm.nf4 import Noted, encode, note_nf4
from serin.merge.base import DequantisedBase, Differs, FullBase
from serin.merge.weights import Stored, stored_in_model

CPU = torch.device("cpu")
NAME = "model.layers.0.mlp.down_proj.weight"


@pytest.fixture(scope="module")
def notes(tiny_base: Path) -> dict[str, Noted]:
    """What training notes of the tiny base."""
    return note_nf4(load_for_training(tiny_base, True, torch.float32, "sdpa"))


@pytest.fixture
def stored(tiny_base: Path) -> dict[str, Stored]:
    return stored_in_model(tiny_base)


def test_what_training_quantised_goes_through_nf4_and_the_rest_stays(
    tiny_base: Path, notes: dict[str, Noted], stored: dict[str, Stored]
) -> None:
    base = DequantisedBase(tiny_base, notes, torch.float32, CPU)
    touched = {name for name in stored if base.touches(name)}
    assert touched == set(notes)
    assert all(base.weight(stored[name]) is stored[name] for name in stored.keys() - touched)
    assert not torch.equal(base.weight(stored[NAME]).read(), stored[NAME].read().float())
    full = FullBase()
    assert full.weight(stored[NAME]) is stored[NAME]
    assert not full.touches(NAME)


def test_a_mean_that_was_summed_in_another_order_is_taken_as_training_noted_it(
    tiny_base: Path, notes: dict[str, Noted], stored: dict[str, Stored]
) -> None:
    moved = float(torch.nextafter(torch.tensor(notes[NAME].offset), torch.tensor(1.0)))
    coded = encode(stored[NAME], False, torch.float32, CPU, moved)
    base = DequantisedBase(tiny_base, {**notes, NAME: coded.noted()}, torch.float32, CPU)
    assert torch.equal(base.weight(stored[NAME]).read(), coded.read())


def test_other_weights_than_training_had_are_refused(
    tiny_base: Path, notes: dict[str, Noted], stored: dict[str, Stored]
) -> None:
    with pytest.raises(Differs, match=f"{NAME} in NF4 is not here what it was in training"):
        DequantisedBase(tiny_base, notes, torch.bfloat16, CPU).weight(stored[NAME])
    with pytest.raises(ConfigError, match=r"training quantised other weights.*lm_head"):
        DequantisedBase(tiny_base, {**notes, "lm_head.weight": notes[NAME]}, torch.float32, CPU)
