import shutil
from pathlib import Path

import pytest

from serin.clients.files import read_json, write_json
from serin.core.errors import ConfigError
from serin.core.params import Params
from serin.train.plan.devices import Device, gpu_named, this_machine
from serin.train.plan.plan import Plan, plan_run

GIB = 1 << 30


@pytest.fixture
def config_alone(tiny_base: Path, tmp_path: Path) -> Path:
    """A folder with ``config.json`` and no more."""
    folder = tmp_path / "config"
    folder.mkdir()
    shutil.copy(tiny_base / "config.json", folder)
    return folder


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Its ``quality.json`` alone."""
    split = {"records": 90, "tokens": {"0": 20, "0.5": 40, "1": 64}}
    write_json(tmp_path / "data/quality.json", {"splits": {"train": split, "validation": split}})
    return tmp_path / "data"


def planned(base: Path, dataset: Path, device: Device, **train: object) -> Plan:
    return plan_run(Params.model_validate({"train": {"lora": {"r": 4}, **train}}), base, dataset, device)


def test_a_plan_needs_neither_weights_nor_tokenizer_nor_records(config_alone: Path, dataset: Path) -> None:
    plan = planned(config_alone, dataset, gpu_named("L4"), epochs=2, batch_size=8)
    assert (plan.examples, plan.steps, plan.validations) == (90, 24, 2)
    assert plan.fits
    assert plan.hours is not None
    assert 0 < plan.hours.low < plan.hours.high
    assert plan.memory.parts.keys() == {
        *("weights", "adapter", "gradients", "optimizer", "activations", "logits", "allocator")
    }


def test_what_does_not_fit_is_said_and_the_most_that_does_is_suggested(config_alone: Path, dataset: Path) -> None:
    def on(size_bytes: int) -> Plan:
        return planned(config_alone, dataset, Device("G", GIB + size_bytes), batch_size=8, micro_batch_size=8)

    whole = on(GIB).memory.total_bytes
    assert on(whole).fits
    assert on(whole).suggested_micro_batch_size == 8
    short = on(whole - 1)
    assert not short.fits
    assert short.suggested_micro_batch_size == 4
    assert on(1).suggested_micro_batch_size is None


def test_a_smaller_micro_batch_and_recomputation_take_less(config_alone: Path, dataset: Path) -> None:
    config = read_json(config_alone / "config.json")
    deep = {"num_hidden_layers": 8, "layer_types": ["full_attention"] * 8}
    write_json(config_alone / "config.json", config | deep)
    device = gpu_named("L4")
    plain = planned(config_alone, dataset, device).memory.parts["activations"]
    half = planned(config_alone, dataset, device, micro_batch_size=4).memory.parts["activations"]
    again = planned(config_alone, dataset, device, gradient_checkpointing=True).memory.parts["activations"]
    assert half < 0.7 * plain
    assert again < 0.7 * plain


def test_a_cpu_has_no_table_of_speeds(config_alone: Path, dataset: Path) -> None:
    assert planned(config_alone, dataset, Device("CPU", 8 * GIB)).hours is None
    assert this_machine().memory_bytes > 0


def test_params_that_training_would_refuse_are_refused(config_alone: Path, dataset: Path) -> None:
    with pytest.raises(ConfigError, match=r"train\.lora\.r = 1000"):
        planned(config_alone, dataset, gpu_named("L4"), lora={"r": 1000})
