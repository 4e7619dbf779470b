"""FineTunes that were written by hand: read and checked without a cluster, and printed."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from serin.core.errors import ConfigError
from serin.core.resources.finetune import GROUP, VERSION, FineTuneSpec
from serin.job.finetune import KIND, faults_of


def read_manifest(path: Path) -> dict[str, Any]:
    """The FineTune of a YAML or JSON file.

    Raises:
        ConfigError: not one FineTune and no other object, or one with faults; all of them are listed.
    """
    try:
        documents = [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one is not None]
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is missing: name a file that holds a FineTune") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise ConfigError(f"{path} holds {len(documents)} objects: expected one FineTune")
    return check_finetune(documents[0], str(path))


def check_finetune(body: dict[str, Any], source: str) -> dict[str, Any]:
    """The same object. Raises ConfigError with every fault that can be seen without a cluster."""
    version = f"{GROUP}/{VERSION}"
    if body.get("kind") != KIND or body.get("apiVersion") != version:
        found = f"{body.get('apiVersion')} {body.get('kind')}"
        raise ConfigError(f"{source} holds {found}: expected {version} {KIND}")
    metadata = body.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise ConfigError(f"{source}: metadata.name is missing; give the FineTune a name")
    try:
        FineTuneSpec.model_validate(body.get("spec"))
    except ValidationError as error:
        faults = [fault.replace("  ", "  spec.", 1) for fault in faults_of(error)]
        raise ConfigError("\n".join([f"{source} has {_count(len(faults))}; edit it:", *faults])) from error
    return body


def yaml_text(body: Any) -> str:
    """As YAML that ``kubectl apply`` takes."""
    text: str = yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=110)
    return text


def _count(faults: int) -> str:
    return "1 fault" if faults == 1 else f"{faults} faults"
