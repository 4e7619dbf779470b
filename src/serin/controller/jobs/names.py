"""What the children of a FineTune are called, and how they are told from those of others."""

from collections.abc import Mapping
from typing import Any

from serin.core.task import Stage

MANAGER = "serin"
FINETUNE_LABEL = "serin.dev/finetune"
UID_LABEL = "serin.dev/finetune-uid"
STAGE_LABEL = "serin.dev/stage"
SPEC_HASH = "serin.dev/spec-hash"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
MAX_EXECUTION_LABEL = "kueue.x-k8s.io/max-exec-time-seconds"
INDEX_LABEL = "batch.kubernetes.io/job-completion-index"
REPLICATED_JOB = "run"
"""The name of a JobSet's only Job template."""
NO_UID = "00000000-0000-0000-0000-000000000000"
"""Stands for the uid that the API server will give, where an object is rendered that is not there yet."""


def job_name(name: str, uid: str, stage: Stage) -> str:
    """``<name>-<stage>-<uid8>``: whoever makes it, and however often, it is one and the same object."""
    return f"{name}-{stage}-{uid[:8]}"


def labels_of(name: str, uid: str, stage: Stage) -> dict[str, str]:
    """On every child and every pod."""
    return {
        "app.kubernetes.io/managed-by": MANAGER,
        FINETUNE_LABEL: name,
        UID_LABEL: uid,
        STAGE_LABEL: stage,
    }


def owner_of(finetune: Mapping[str, Any]) -> dict[str, Any]:
    """The reference by which the garbage collector removes a child after its FineTune, without a finalizer anywhere."""
    metadata = finetune["metadata"]
    return {
        "apiVersion": finetune["apiVersion"],
        "kind": finetune["kind"],
        "name": metadata["name"],
        "uid": metadata.get("uid", NO_UID),
        "controller": True,
        "blockOwnerDeletion": False,
    }


def is_owned_by(child: Mapping[str, Any], uid: str) -> bool:
    """Whether the FineTune with this uid controls the object."""
    references = child.get("metadata", {}).get("ownerReferences") or []
    return any(reference.get("controller") and reference.get("uid") == uid for reference in references)
