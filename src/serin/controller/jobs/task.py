"""The task of one stage: what its pods are told."""

from collections.abc import Mapping

from serin.controller.jobs.names import NO_UID
from serin.core.errors import ConfigError
from serin.core.resources.finetune import Run
from serin.core.task import INPUTS, OUTPUT, STAGES, Stage, Task, Word, prefix_of

_UPLOAD_SHARE = 4


def inputs_of(run: Run, stage: Stage, outs: Mapping[Stage, str]) -> dict[Word, str]:
    """DVC hashes of what goes into a stage: the outputs of earlier stages, and what the run was given.

    Args:
        run: with ``inputs``.
        stage: which.
        outs: DVC hash of each stage that is done.

    Raises:
        ConfigError: something is missing: the stage that makes it is not part of the run, and ``inputs`` lacks it.
    """
    made = {OUTPUT[earlier]: outs[earlier] for earlier in STAGES[: STAGES.index(stage)] if earlier in outs}
    given = run.inputs.model_dump(exclude_none=True)
    model: dict[Word, str] = {"model": given["model"]} if "model" in given else {}
    found: dict[Word, str] = {}
    for word in INPUTS[stage]:
        if word not in made and word not in given:
            maker = next(each for each in STAGES if OUTPUT[each] == word)
            raise ConfigError(
                f"spec.run.inputs.{word}: missing, and {stage} needs it; give its hash or add {maker} to spec.run.stages"
            )
        found[word] = made.get(word, given.get(word, ""))
    return found | model


def task_of(
    run: Run, stage: Stage, inputs: Mapping[Word, str], namespace: str, name: str, uid: str | None = None
) -> Task:
    """What the pods of a stage get. Training has from SIGTERM three quarters of the pod's grace period: the rest is the task's,
    for the log, the progress and the last words."""
    sections = run.params.model_dump(mode="json")
    sections["runs"]["checkpoints"]["grace_s"] = float(trainers_grace_s(run.placement.grace_s))
    placement = run.placement
    trains = stage == "train"
    return Task(
        stage=stage,
        prefix=prefix_of(namespace, name, uid or NO_UID, stage),
        params=sections,
        inputs=dict(inputs),
        nodes=placement.nodes if trains else 1,
        processes=max(1, placement.train.gpus) if trains else 1,
    )


def trainers_grace_s(pods_grace_s: int) -> int:
    """``runs.checkpoints.grace_s`` below a pod's grace period (seconds)."""
    return pods_grace_s - pods_grace_s // _UPLOAD_SHARE
