"""What one revision runs on: the params' section, and what its deploy says otherwise."""

import dataclasses
import difflib
import importlib.util
from collections.abc import Collection, Iterable
from typing import Any

import yaml
from pydantic import ValidationError

from serin.core.errors import ConfigError, UsageError
from serin.core.params import RevisionParams


def settings_with(section: RevisionParams, given: Iterable[str]) -> RevisionParams:
    """The section, changed by words such as ``replicas=2``, ``autoscaling.max_replicas=4`` and ``vllm.max_num_seqs=64``.

    A value is read as YAML.

    Raises:
        UsageError: one is no ``name=value``, there is no such setting, or its value is out of range.
    """
    changed: dict[str, Any] = section.model_dump(exclude_unset=True)
    for word in given:
        path, equals, text = word.partition("=")
        *outer, last = path.split(".")
        if not equals or not last or len(outer) > 1:
            raise UsageError(f"--set {word}: expected NAME=VALUE, such as replicas=2 or vllm.max_num_seqs=64")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UsageError(f"--set {word}: the value is not YAML ({error}); quote it") from error
        place = changed
        for name in outer:
            place[name] = dict(place.get(name) or {})
            place = place[name]
        place[last] = value
    try:
        return RevisionParams.model_validate(changed)
    except ValidationError as error:
        faults = [
            f"{'.'.join(str(part) for part in fault['loc']) or '--set'}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors()
        ]
        raise UsageError(f"--set: {'; '.join(faults)}; see serve.revisions in 'serin init --help'") from error


def check_vllm_arguments(settings: RevisionParams) -> None:
    """Refuse what the installed vLLM has no argument of; where none is installed, the revision's own start says it.

    Raises:
        ConfigError: an argument is unknown.
    """
    if not settings.vllm or importlib.util.find_spec("vllm") is None:
        return
    known = vllm_arguments()
    faults = []
    for name in sorted(settings.vllm.keys() - known):
        close = difflib.get_close_matches(name, known, 1)
        faults.append(f"{name}" + (f" (did you mean {close[0]}?)" if close else ""))
    if faults:
        raise ConfigError(f"serve.revisions.vllm: vLLM has no argument {', '.join(faults)}; mend params.yaml or --set")


def vllm_arguments() -> Collection[str]:
    """The names that ``engine_kwargs`` may have, as Ray tells them apart."""
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.entrypoints.openai.cli_args import FrontendArgs

    return {field.name for arguments in (AsyncEngineArgs, FrontendArgs) for field in dataclasses.fields(arguments)}
