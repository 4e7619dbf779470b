"""What the controller would create for a FineTune, without asking a cluster."""

from collections.abc import Mapping, Sequence
from typing import Any

from serin.controller.jobs import inputs_of, render
from serin.core.errors import UsageError
from serin.core.task import OUTPUT, Stage
from serin.job.finetune import run_in
from serin.job.manifest import yaml_text

_NOTE = "# The API server gives the FineTune its uid; zeros stand for it here, and its first eight digits end each Job's name.\n"


def rendered(finetune: Mapping[str, Any], only: Stage | None = None) -> list[dict[str, Any]]:
    """The Job or JobSet of each stage, in their order.

    The hash of what an earlier stage is to make is not known yet; words stand in its place.

    Args:
        finetune: a valid one.
        only: one stage instead of all.

    Raises:
        ConfigError: a stage could never start, since nothing gives what goes in; or it is of another version.
        UsageError: the FineTune has no such stage.
    """
    run = run_in(finetune)
    if only is not None and only not in run.stages:
        raise UsageError(f"--stage {only}: the FineTune has only {', '.join(run.stages)}")
    outs: dict[Stage, str] = {}
    bodies = []
    for stage in run.stages:
        if only in (None, stage):
            bodies.append(render(finetune, stage, inputs_of(run, stage, outs)))
        outs[stage] = f"<the {OUTPUT[stage]} that {stage} will have made>"
    return bodies


def text_of(bodies: Sequence[Mapping[str, Any]], has_uid: bool) -> str:
    """As a YAML stream."""
    return ("" if has_uid else _NOTE) + "---\n".join(yaml_text(body) for body in bodies)
