"""What an API server fills in where an object says nothing."""

from .objects import Object


def job_defaults(new: Object) -> Object:
    """A Job with the labels and the selector that bind its pods to it, and the defaults of batch/v1."""
    uid, name = new["metadata"]["uid"], new["metadata"]["name"]
    ours = {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    spec = new["spec"]
    template = spec["template"]
    metadata = template.get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), **ours}
    defaults = {
        "parallelism": 1,
        "completions": 1,
        "completionMode": "NonIndexed",
        "backoffLimit": 6,
        "suspend": False,
        "podReplacementPolicy": "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed",
        "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}},
    }
    pod = {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        **template["spec"],
    }
    pod = {"securityContext": {}, "schedulerName": "default-scheduler", **pod}
    template = {**template, "metadata": {**metadata, "labels": labels}, "spec": pod}
    return {**new, "spec": {**defaults, **spec, "template": template}}
