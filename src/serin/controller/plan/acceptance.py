"""Whether a FineTune can run at all: decided before a GPU is taken, and once."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from serin.controller.observed import Fault
from serin.core.resources.finetune import FineTuneSpec

BAD_PARAMS = "BadParams"
NAME_LENGTH = 40
"""Longest name: ``<name>-evaluate-<uid8>`` with a pod's suffix has to fit into a label (63)."""
JOBSET_NAME_LENGTH = 33
"""The same of one that trains on several nodes: JobSet's pods are called ``<name>-train-<uid8>-run-0-<63>-<5 more>``."""
_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


def read_spec(finetune: Mapping[str, Any]) -> tuple[FineTuneSpec | None, list[Fault]]:
    """The spec, and all that is wrong with it; the schema catches most of it before, but may be older than this code."""
    try:
        spec = FineTuneSpec.model_validate(finetune.get("spec") or {})
    except ValidationError as error:
        return None, [Fault(BAD_PARAMS, _line(fault)) for fault in error.errors()]
    return spec, [Fault(BAD_PARAMS, fault) for fault in _faults_of_name(str(finetune["metadata"]["name"]), spec)]


def _faults_of_name(name: str, spec: FineTuneSpec) -> list[str]:
    many = spec.run.placement.nodes > 1 and "train" in spec.run.stages
    longest = JOBSET_NAME_LENGTH if many else NAME_LENGTH
    found = []
    if len(name) > longest:
        where = f" with placement.nodes = {spec.run.placement.nodes}" if many else ""
        found.append(f"metadata.name = {name}: must be at most {longest} characters{where}; choose a shorter one")
    if many and not _LABEL.fullmatch(name):
        found.append(f"metadata.name = {name}: must be a DNS label that begins with a letter, as JobSet demands")
    return found


def _line(fault: Mapping[str, Any]) -> str:
    path = ".".join(["spec", *(str(part) for part in fault["loc"])])
    rule = str(fault["msg"]).removeprefix("Value error, ")
    shown = repr(fault["input"])
    return f"{path} = {shown if len(shown) <= 80 else '…'}: {rule}"
