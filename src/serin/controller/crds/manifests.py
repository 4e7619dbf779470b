"""The CustomResourceDefinitions of ``FineTune`` and ``ModelRollout``, generated from the models that read them."""

from typing import Any

import yaml
from pydantic import BaseModel

from serin.controller.crds.enforcement import NAMES
from serin.controller.crds.structural import structural
from serin.core.resources.bounds import SPEC, STATUS
from serin.core.resources.finetune import GROUP, VERSION, FineTuneSpec, FineTuneStatus
from serin.core.resources.rollout import ModelRolloutSpec, ModelRolloutStatus

_FINE_TUNE_COLUMNS = (
    ("Phase", "string", ".status.phase", 0),
    ("Stage", "string", ".status.stage", 1),
    ("Step", "integer", ".status.step", 0),
    ("Loss", "number", ".status.loss", 0),
    ("Queue", "string", ".spec.run.placement.queue", 0),
    ("Job", "string", ".status.job", 0),
    ("Revision", "string", ".status.revision", 1),
    ("Age", "date", ".metadata.creationTimestamp", 0),
)
_ROLLOUT_COLUMNS = (
    ("Phase", "string", ".status.phase", 0),
    ("Weight", "number", ".status.weight", 0),
    ("Users", "integer", ".status.users.canary", 0),
    ("Stable", "string", ".spec.run.stable", 1),
    ("Canary", "string", ".spec.run.canary", 1),
    ("Reason", "string", ".status.reason", 1),
    ("Age", "date", ".metadata.creationTimestamp", 0),
)


def manifests() -> list[dict[str, Any]]:
    """Both, as ``kubectl apply`` takes them."""
    return [
        _manifest(
            "FineTune", "finetunes", "ft", FineTuneSpec, FineTuneStatus, _FINE_TUNE_COLUMNS,
            "A run of the stages from training to publishing.",
        ),
        _manifest(
            "ModelRollout", "modelrollouts", "mro", ModelRolloutSpec, ModelRolloutStatus, _ROLLOUT_COLUMNS,
            "Traffic that moves from one revision to another on evidence, or back.",
        ),
    ]  # fmt: skip


def manifest_text(manifest: dict[str, Any]) -> str:
    """One as YAML, without anchors: ``kubectl`` reads them, people do not."""
    text: str = yaml.dump(manifest, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)
    return text


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's own signature
        return True


def _manifest(
    kind: str,
    plural: str,
    short: str,
    spec: type[BaseModel],
    status: type[BaseModel],
    columns: tuple[tuple[str, str, str, int], ...],
    description: str,
) -> dict[str, Any]:
    schema = {
        "description": description,
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural(spec, SPEC, with_defaults=True),
            "status": structural(status, STATUS, with_defaults=False),
        },
        "x-kubernetes-validations": [dict(rule) for rule in NAMES[kind]],
    }
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(*column) for column in columns],
    }
    names = {
        "kind": kind,
        "listKind": f"{kind}List",
        "plural": plural,
        "singular": kind.lower(),
        "shortNames": [short],
        "categories": ["serin"],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}", "labels": {"app.kubernetes.io/part-of": "serin"}},
        "spec": {"group": GROUP, "names": names, "scope": "Namespaced", "versions": [version]},
    }


def _column(name: str, kind: str, path: str, priority: int) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path}
    return column | ({"priority": priority} if priority else {})
