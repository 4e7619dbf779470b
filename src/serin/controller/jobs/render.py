"""The manifest of a stage: a Job (batch/v1), or a JobSet (jobset.x-k8s.io/v1alpha2) where it trains in several pods."""

from collections.abc import Mapping
from typing import Any

from serin.controller.jobs.failures import jobset_failure_policy, pod_failure_policy
from serin.controller.jobs.names import (
    MAX_EXECUTION_LABEL,
    NO_UID,
    QUEUE_LABEL,
    REPLICATED_JOB,
    SPEC_HASH,
    job_name,
    labels_of,
    owner_of,
)
from serin.controller.jobs.pod import pod_template
from serin.controller.jobs.task import task_of
from serin.core.digest import digest_of
from serin.core.params.cluster import PlacementParams
from serin.core.resources.finetune import FineTuneSpec
from serin.core.task import Stage, Task, Word


def render(finetune: Mapping[str, Any], stage: Stage, inputs: Mapping[Word, str]) -> dict[str, Any]:
    """What the controller creates for a stage.

    It is created once and never edited, since Kueue writes the chosen nodes' selectors into its template. Its name does not
    depend on what stands in it, so a controller of a newer version never makes a second one.

    Args:
        finetune: a valid FineTune. Before it is created it has no uid, and zeros stand for it.
        stage: which.
        inputs: DVC hashes of what goes in; see ``inputs_of``.
    """
    metadata = finetune["metadata"]
    name, uid, namespace = metadata["name"], metadata.get("uid", NO_UID), metadata.get("namespace", "default")
    run = FineTuneSpec.model_validate(finetune["spec"]).run
    task = task_of(run, stage, inputs, namespace, name, uid)
    child, labels = job_name(name, uid, stage), labels_of(name, uid, stage)
    many = task.nodes > 1
    spec = _jobset_spec(run.placement, task, labels, child) if many else _job_spec(run.placement, task, labels, None)
    body: dict[str, Any] = {
        "apiVersion": "jobset.x-k8s.io/v1alpha2" if many else "batch/v1",
        "kind": "JobSet" if many else "Job",
        "metadata": {
            "name": child,
            "namespace": namespace,
            "labels": labels | _queue_labels(run.placement),
            "ownerReferences": [owner_of(finetune)],
        },
        # Removed this long after it has finished, with its pods; the result and the log are in storage.
        "spec": spec | {"ttlSecondsAfterFinished": run.placement.keep_finished_s},
    }
    # What was asked for, whatever others write into the object afterwards.
    body["metadata"]["annotations"] = {SPEC_HASH: digest_of(body)}
    return body


def _job_spec(placement: PlacementParams, task: Task, labels: Mapping[str, str], master: str | None) -> dict[str, Any]:
    """``suspend`` is left out where there is a queue: Kueue's webhook sets it, and owns it from then on."""
    return {
        # Failures that are no one's fault but the program's; what podFailurePolicy ignores is not among them.
        "backoffLimit": placement.retries,
        "podFailurePolicy": pod_failure_policy("Ignore"),
        # A new pod only after the old one has ended: two trainers must never write one checkpoint (KEP-3939).
        "podReplacementPolicy": "Failed",
        # From the start of the Job, retries included; suspension sets the clock back, and Kueue's label below does not.
        "activeDeadlineSeconds": placement.deadline_s,
        "template": pod_template(placement, task, labels, master),
    }


def _jobset_spec(placement: PlacementParams, task: Task, labels: Mapping[str, str], child: str) -> dict[str, Any]:
    """One Job with a pod for each node, which starts again as a whole: an all-reduce cannot go on without one of them.

    The deadline is that of each start; only Kueue's adds them up.
    """
    job = _job_spec(placement, task, labels, f"{child}-{REPLICATED_JOB}-0-0.{child}") | {
        # torchrun's node rank is the pod's index (KEP-2214).
        "completionMode": "Indexed",
        "completions": task.nodes,
        "parallelism": task.nodes,
        # One pod alone must not start again; the JobSet counts the retries.
        "backoffLimit": 0,
        "podFailurePolicy": pod_failure_policy("FailJob"),
    }
    return {
        # A headless Service gives each pod a name, by which the processes meet.
        "network": {"enableDNSHostnames": True, "publishNotReadyAddresses": True},
        "failurePolicy": jobset_failure_policy(placement.retries),
        "replicatedJobs": [
            {"name": REPLICATED_JOB, "replicas": 1, "template": {"metadata": {"labels": dict(labels)}, "spec": job}}
        ],
    }


def _queue_labels(placement: PlacementParams) -> dict[str, str]:
    """Kueue's: which LocalQueue, and how long at most, counted over preemptions."""
    if placement.queue is None:
        return {}
    return {QUEUE_LABEL: placement.queue, MAX_EXECUTION_LABEL: str(placement.deadline_s)}
