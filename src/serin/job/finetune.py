"""From a project's params and the hashes of its files to the object that a cluster takes. No I/O."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from serin.core.digest import digest_of
from serin.core.errors import ConfigError, UsageError
from serin.core.params import Params
from serin.core.params.cluster import KubernetesParams
from serin.core.resources.finetune import GROUP, VERSION, FineTuneParams, FineTuneSpec, Run, written
from serin.core.resources.naming import longest_name, needs_jobset
from serin.core.task import INPUTS, OUTPUT, STAGES, Stage, Word

KIND = "FineTune"
_DIGITS = 8
_SECTIONS: dict[Stage, tuple[str, ...]] = {
    "train": ("train",),
    "merge": ("merge",),
    "evaluate": ("evaluate",),
    "publish": ("publish",),
}
"""The sections of params that say what a stage writes; others say only how."""


def cluster_of(params: Params) -> KubernetesParams:
    """The section ``kubernetes``, where a cluster can do something with these params.

    Raises:
        ConfigError: there is none, or storage is not where pods can reach it.
    """
    if params.kubernetes is None:
        raise ConfigError(
            "kubernetes: missing, and a run on a cluster needs it; add the section to params.yaml, at least with image: "
            "(the train image)"
        )
    if not params.storage.url.startswith("s3://"):
        raise ConfigError(
            f"storage.url = {params.storage.url!r}: pods reach no folder of this machine; edit params.yaml: "
            "s3://bucket/prefix, with endpoint_url for a server other than AWS"
        )
    return params.kubernetes


def run_of(params: Params, stages: Sequence[Stage], inputs: Mapping[Word, str]) -> Run:
    """What a FineTune never changes.

    Args:
        params: of the project.
        stages: without a gap; see ``check_stages``.
        inputs: DVC hashes of what no earlier one of the stages makes.

    Raises:
        ConfigError: see ``cluster_of``; or there are values that an object on a cluster does not take.
    """
    sections = {name: getattr(params, name) for name in FineTuneParams.model_fields}
    told = {
        "stages": list(stages),
        "inputs": dict(inputs),
        "params": sections,
        "placement": cluster_of(params).model_dump(exclude={"namespace", "context"}),
    }
    try:
        return Run.model_validate(told)
    except ValidationError as error:
        raise ConfigError(
            "\n".join(["these params cannot run on a cluster; edit params.yaml:", *faults_of(error)])
        ) from error


def faults_of(error: ValidationError) -> list[str]:
    """A line for each: where, and the rule."""
    return [
        f"  {'.'.join(map(str, fault['loc']))}: "
        + ("no such field" if fault["type"] == "extra_forbidden" else fault["msg"].removeprefix("Value error, "))
        for fault in error.errors()
    ]


def check_stages(stages: Sequence[str]) -> list[Stage]:
    """The stages in their order. Raises UsageError for an unknown one, none at all, or a gap."""
    unknown = [name for name in stages if name not in STAGES]
    chosen = [stage for stage in STAGES if stage in stages]
    if unknown or not chosen:
        found = ", ".join(unknown) or "nothing"
        raise UsageError(f"--stages: found {found}; expected some of {', '.join(STAGES)}")
    first, last = STAGES.index(chosen[0]), STAGES.index(chosen[-1])
    if missing := [stage for stage in STAGES[first:last] if stage not in chosen]:
        raise UsageError(f"--stages {','.join(chosen)}: {', '.join(missing)} is left out between them; add it")
    return chosen


def words_needed(stages: Sequence[Stage]) -> list[Word]:
    """What has to be given, because none of the stages makes it before another takes it."""
    needed: dict[Word, None] = {}
    made: set[Word] = set()
    for stage in stages:
        needed |= dict.fromkeys(word for word in INPUTS[stage] if word not in made)
        made.add(OUTPUT[stage])
    return list(needed)


def content_name(run: Run) -> str:
    """A name that follows from what the run computes: ``<model>-<stage>-<hash8>``, the stage only where there is one alone.

    The image is part of it, since it is the code; where and for how long the pods run is not.
    """
    sections = run.params.model_dump(mode="json")
    told = {
        "stages": run.stages,
        "inputs": run.inputs.model_dump(),
        "image": run.placement.image,
        "storage": sections["storage"]["url"],
        "params": {
            stage: {name: sections[name] for name in _SECTIONS[stage]} | {"name": run.params.merge.name}
            for stage in run.stages
        },
    }
    only = f"-{run.stages[0]}" if len(run.stages) == 1 else ""
    end = f"{only}-{digest_of(told)[:_DIGITS]}"
    model = run.params.merge.name
    model = f"run-{model}" if needs_jobset(run) and model[0].isdecimal() else model  # JobSet wants a letter first
    return model[: longest_name(run) - len(end)].rstrip("-") + end


def finetune_of(run: Run, name: str, namespace: str | None) -> dict[str, Any]:
    """The object, as ``kubectl apply`` would send it."""
    run_body = run.model_dump(mode="json", by_alias=True, exclude={"params"}, exclude_none=True)
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "metadata": metadata,
        "spec": {"suspend": False, "run": run_body | {"params": written(run.params)}},
    }


def is_same_run(finetune: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both say the same, whatever stands in one and is the other's default."""
    return run_in(finetune) == run_in(other)


def run_in(finetune: Mapping[str, Any]) -> Run:
    """``spec.run`` of an object. Raises ConfigError where it is of another version of Serin."""
    try:
        return FineTuneSpec.model_validate(finetune["spec"]).run
    except ValidationError as error:
        name = finetune["metadata"]["name"]
        raise ConfigError("\n".join([f"{name} is no FineTune that this version knows:", *faults_of(error)])) from error
