"""The pod template, field by field. Everything passes Pod Security's ``restricted`` profile
(kubernetes.io/docs/concepts/security/pod-security-standards)."""

from collections.abc import Mapping
from typing import Any

from serin.core.digest import canonical_json
from serin.core.params.cluster import PlacementParams, ResourceParams
from serin.core.task import TASK_VARIABLE, Stage, Task

CONTAINER = "run"
COMMAND = ("python", "-m", "serin", "task")
RENDEZVOUS_PORT = 29500
_USER = 1000
_WORK = "/work"
_FOLDERS = {
    "HOME": f"{_WORK}/home",
    "HF_HOME": f"{_WORK}/cache/huggingface",
    "XDG_CACHE_HOME": f"{_WORK}/cache",
    "SERIN_RUNS": f"{_WORK}/runs",
    "TMPDIR": "/tmp",
}


def gpus_of(placement: PlacementParams, stage: Stage) -> int:
    """GPUs of each of a stage's pods: only training and evaluation compute on them."""
    if stage == "train":
        return placement.train.gpus
    return placement.other.gpus if stage == "evaluate" else 0


def resources_of(placement: PlacementParams, stage: Stage) -> ResourceParams:
    """What each of a stage's pods gets."""
    return placement.train if stage == "train" else placement.other


def pod_template(
    placement: PlacementParams, task: Task, labels: Mapping[str, str], master: str | None
) -> dict[str, Any]:
    """Of a Job, or of the Job in a JobSet.

    Args:
        placement: where and how long.
        task: what the pod is told.
        labels: of the pod.
        master: DNS name of the pod that torchrun's processes meet at; None where there is one pod.
    """
    gpus = gpus_of(placement, task.stage)
    spec: dict[str, Any] = {
        # A pod that failed is replaced by the Job, which podFailurePolicy demands and which keeps each attempt's own ending.
        "restartPolicy": "Never",
        # From SIGTERM to SIGKILL: time for a checkpoint and its copy in storage.
        "terminationGracePeriodSeconds": placement.grace_s,
        # Whom storage knows the pod as. Clouds inject a token of their own for it (IRSA, Workload Identity) ...
        "serviceAccountName": placement.service_account,
        # ... and the Kubernetes API is nothing that a trainer has to reach.
        "automountServiceAccountToken": False,
        # Variables for every Service of the namespace would end up in logs, and slow the start where there are many.
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            # The emptyDirs belong to this group, so that the user can write.
            "fsGroup": _USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(placement, task, gpus, master)],
        "volumes": _volumes(resources_of(placement, task.stage)),
    }
    if placement.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in placement.image_pull_secrets]
    if placement.priority_class:
        # Kueue orders its queue by the pods' class where a Workload names none of its own, so that one name says both.
        spec["priorityClassName"] = placement.priority_class
    if placement.node_selector:
        spec["nodeSelector"] = dict(placement.node_selector)
    if tolerations := _tolerations(placement, task.stage, gpus):
        spec["tolerations"] = tolerations
    return {"metadata": {"labels": dict(labels)}, "spec": spec}


def _container(placement: PlacementParams, task: Task, gpus: int, master: str | None) -> dict[str, Any]:
    resources = resources_of(placement, task.stage)
    container: dict[str, Any] = {
        "name": CONTAINER,
        "image": placement.image,
        "command": list(COMMAND),
        "workingDir": _WORK,
        "env": _environment(placement, task, gpus, master),
        "resources": _resources(resources, gpus),
        # An ending that the task could not write is the end of its log instead.
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "work", "mountPath": _WORK},
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "shm", "mountPath": "/dev/shm"},
        ],
    }
    if placement.secrets:
        # By name only: a value in a manifest could be read by whoever may read Jobs.
        container["envFrom"] = [{"secretRef": {"name": name}} for name in placement.secrets]
    return container


def _environment(placement: PlacementParams, task: Task, gpus: int, master: str | None) -> list[dict[str, Any]]:
    """The user's own variables (NCCL_* for one: which network interface is right only the cluster's owner knows) never replace
    what the pod runs by."""
    plain = dict(placement.environment)
    # Kubernetes would read "$(" and "$$" in a value as its own; in JSON a dollar can be written without one.
    told = canonical_json(task.model_dump(mode="json")).decode().replace("$", "\\u0024")
    plain |= {TASK_VARIABLE: told}
    plain |= _FOLDERS
    plain |= {
        # torch asks for the user's name, and an image need not know user 1000.
        "USER": "serin",
        # Lines reach the log as they are printed; the root is read-only, so nothing compiled could be kept.
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if not gpus:
        # NVIDIA's runtime shows every GPU of the node to an image that does not say otherwise.
        plain["NVIDIA_VISIBLE_DEVICES"] = "void"
    if master:
        plain |= {"MASTER_ADDR": master, "MASTER_PORT": str(RENDEZVOUS_PORT)}
    pod = {"name": "SERIN_POD", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}
    return [{"name": name, "value": value} for name, value in plain.items()] + [pod]


def _resources(resources: ResourceParams, gpus: int) -> dict[str, Any]:
    """Memory and GPUs exactly as limited, so that a node never promises them twice; CPU may be borrowed while it is idle."""
    fixed = {"memory": resources.memory, "ephemeral-storage": resources.scratch}
    if gpus:
        fixed[resources.gpu_resource] = str(gpus)  # an extended resource's request has to equal its limit
    return {"requests": {"cpu": resources.cpu} | fixed, "limits": fixed}


def _volumes(resources: ResourceParams) -> list[dict[str, Any]]:
    """All that can be written to. The disk of a pod ends with it: what is to last goes to storage."""
    return [
        {"name": "work", "emptyDir": {"sizeLimit": resources.scratch}},
        {"name": "tmp", "emptyDir": {"sizeLimit": resources.scratch}},
        # 64 MiB by default, which NCCL and data loaders overrun (NVIDIA/nccl#525).
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": resources.shared_memory}},
    ]


def _tolerations(placement: PlacementParams, stage: Stage, gpus: int) -> list[dict[str, Any]]:
    """The user's, and where GPUs are asked for the taint that keeps other pods off GPU nodes, which is named like the resource
    (kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration)."""
    found = [each.model_dump(by_alias=True, exclude_none=True) for each in placement.tolerations]
    if gpus:
        resource = resources_of(placement, stage).gpu_resource
        own = {"key": resource, "operator": "Exists", "effect": "NoSchedule"}
        found += [own] if own not in found else []
    return found
