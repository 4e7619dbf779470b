"""Reading a FineTune: whether it can run at all, decided before a GPU is taken and once, and what was written of it last."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from serin.controller.observed import Fault
from serin.core.resources.finetune import FineTuneSpec, FineTuneStatus
from serin.core.resources.naming import faults_of_name

BAD_PARAMS = "BadParams"


def read_spec(finetune: Mapping[str, Any]) -> tuple[FineTuneSpec | None, list[Fault]]:
    """The spec, and all that is wrong with it; the schema catches most of it before, but may be older than this code."""
    try:
        spec = FineTuneSpec.model_validate(finetune.get("spec") or {})
    except ValidationError as error:
        return None, [Fault(BAD_PARAMS, _line(fault)) for fault in error.errors()]
    name = str(finetune["metadata"]["name"])
    return spec, [Fault(BAD_PARAMS, fault) for fault in faults_of_name(name, spec.run)]


def read_status(finetune: Mapping[str, Any]) -> FineTuneStatus:
    """What was written last; empty where nothing was, or by a version whose words are not understood."""
    try:
        return FineTuneStatus.model_validate(finetune.get("status") or {})
    except ValidationError:
        return FineTuneStatus()


def _line(fault: Mapping[str, Any]) -> str:
    path = ".".join(["spec", *(str(part) for part in fault["loc"])])
    rule = str(fault["msg"]).removeprefix("Value error, ")
    shown = repr(fault["input"])
    return f"{path} = {shown if len(shown) <= 80 else '…'}: {rule}"
