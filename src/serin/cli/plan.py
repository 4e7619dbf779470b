"""``serin train --plan`` as a table or as JSON."""

import json
from pathlib import Path

import click

from serin.base import stage as base_stage
from serin.cli.progress import progress_bar
from serin.core.errors import UsageError
from serin.core.params import Params
from serin.train import stage
from serin.train.plan.calibrate import calibrate
from serin.train.plan.devices import gpu_named, this_machine
from serin.train.plan.hours import Pace
from serin.train.plan.plan import Plan, calibrated, plan_run
from serin.train.watch.console import Console

_MIB = 1 << 20
_GIB = 1 << 30


def show_plan(params: Params, base_out: Path, dataset: Path, gpu: str | None, steps: int | None, as_json: bool) -> None:
    """Plan the run, after ``steps`` steps of it where that is asked for, and print the plan.

    Raises:
        ConfigError: what training would refuse.
        UsageError: a GPU that is not in the table, or one that is to be calibrated on from elsewhere.
    """
    if gpu is not None and steps is not None:
        raise UsageError("--calibrate measures this machine, --gpu names another: leave one out")
    device = gpu_named(gpu) if gpu is not None else this_machine()
    base = base_stage.find_config(params.base, base_out)
    plan = plan_run(params, base, dataset, device)
    if steps is not None:
        steps = min(steps, plan.steps or steps)
        plan = calibrated(plan, params, _calibrate(params, base_out, dataset, steps))
    click.echo(json.dumps(plan.as_dict(), indent=2) if as_json else render(plan))


def _calibrate(params: Params, base_out: Path, dataset: Path, steps: int) -> Pace:
    base = base_stage.load(base_out)
    inputs = stage.Inputs(base.folder, base.digest, dataset)
    with progress_bar("calibrate") as bar:
        return calibrate(
            params, inputs, steps, Console(bar, lambda message: click.echo(f"calibrate: {message}", err=True))
        )


def render(plan: Plan) -> str:
    """The plan as aligned lines."""
    trained, total = plan.parameters.trained, plan.parameters.total
    rows = [
        ("trained", f"{trained:,} of {total:,} parameters ({trained / total:.2%}), {plan.method}"),
        ("examples", _number(plan.examples)),
        ("steps", _number(plan.steps) + (f", {plan.validations} evaluations" if plan.validations else "")),
        ("tokens", _number(plan.tokens)),
        ("micro-batch", f"{plan.micro_batch_size} examples, the heaviest {plan.micro_batch_tokens:,} tokens"),
        ("", ""),
        *((name, _mib(size)) for name, size in plan.memory.parts.items()),
        ("while loading", _mib(plan.memory.loading_bytes)),
        ("peak", f"{_mib(plan.memory.total_bytes)} above what imports take"),
        (
            plan.device.name,
            f"{plan.device.memory_bytes / _GIB:,.1f} GiB, {plan.device.usable_bytes / _GIB:,.1f} of it usable: "
            + ("fits" if plan.fits else "DOES NOT FIT"),
        ),
        ("suggested", _suggestion(plan)),
        ("time", _time(plan)),
    ]
    lines = [f"{name:<14}{value}".rstrip() for name, value in rows]
    return "\n".join([*lines, *(f"note: {note}" for note in plan.notes)])


def _suggestion(plan: Plan) -> str:
    size = plan.suggested_micro_batch_size
    if size is None:
        return "not one example fits: lower train.max_tokens or train.lora.r, or turn on train.gradient_checkpointing"
    return f"micro_batch_size: {size}" + (" (as it is)" if size == plan.micro_batch_size else "")


def _time(plan: Plan) -> str:
    if plan.hours is None:
        return "not known: --calibrate 20 measures it" if plan.steps else "not known without the number of examples"
    low, high = plan.hours.low, plan.hours.high
    scale, unit = (1, "h") if high >= 1 else (60, "min")
    return f"{low * scale:.1f} to {high * scale:.1f} {unit} ({plan.hours.how})"


def _number(value: int | None) -> str:
    return "not known" if value is None else f"{value:,}"


def _mib(size: int) -> str:
    return f"{size / _MIB:>10,.1f} MiB"
