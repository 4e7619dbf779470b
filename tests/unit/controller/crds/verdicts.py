"""What the API server and the models say about the same object."""

import copy
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from serin.controller.crds import manifests
from serin.core.resources.finetune import FineTuneSpec
from serin.core.resources.rollout import ModelRolloutSpec

from ....cluster.standin.admission import admit, unknown_fields
from ....cluster.standin.refusals import Refusal

ROOT = Path(__file__).parents[4]
EXAMPLES = ROOT / "examples" / "kubernetes"
SPECS: Mapping[str, type[BaseModel]] = {"FineTune": FineTuneSpec, "ModelRollout": ModelRolloutSpec}
CRDS: Mapping[str, dict[str, Any]] = {each["spec"]["names"]["kind"]: each for each in manifests()}


def schema(kind: str) -> dict[str, Any]:
    """OpenAPI of a kind."""
    found: dict[str, Any] = CRDS[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def example(name: str) -> dict[str, Any]:
    """One that ``kubectl apply`` takes."""
    found: dict[str, Any] = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())
    return found


@lru_cache
def _whole(kind: str) -> dict[str, Any]:
    return admit(CRDS[kind], example("finetune-everything" if kind == "FineTune" else "modelrollout"), None)


def whole(kind: str) -> dict[str, Any]:
    """An object as it is stored, with every default in its place."""
    return copy.deepcopy(_whole(kind))


def changed(body: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The object with one value put in (``spec.run.placement.tolerations.0.key``)."""
    found: Any = copy.deepcopy(body)
    *parents, last = path.split(".")
    at = found
    for name in parents:
        at = at[int(name)] if isinstance(at, list) else at[name]
    at[int(last) if isinstance(at, list) else last] = value
    return dict(found)


def servers_refusal(body: dict[str, Any], old: dict[str, Any] | None = None) -> str | None:
    """What a strict request (kubectl's) is answered; None: it is taken."""
    crd = CRDS[body["kind"]]
    if unknown := unknown_fields(crd, body):
        return f"strict decoding error: unknown field {', '.join(unknown)}"
    try:
        admit(crd, body, old)
    except Refusal as refusal:
        return refusal.message
    return None


def models_refusal(body: dict[str, Any]) -> str | None:
    """What the controller, and ``serin job submit``, find; None: nothing."""
    try:
        SPECS[body["kind"]].model_validate(body["spec"])
    except ValidationError as error:
        return str(error)
    return None
