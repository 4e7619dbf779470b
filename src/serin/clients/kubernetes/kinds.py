"""The kinds of objects that Serin reads or writes."""

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Kind:
    """A namespaced kind, as its API group serves it."""

    group: str
    """Empty for the core group."""
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        """As manifests have it: ``batch/v1``, or ``v1`` of the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        """Where the API serves all of them in a namespace, one of them, or a part of one."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [root, "namespaces", quote(namespace, safe=""), self.plural]
        return "/".join(parts + [quote(part, safe="") for part in (name, subresource) if part])


FINE_TUNES = Kind("serin.dev", "v1alpha1", "finetunes", "FineTune")
MODEL_ROLLOUTS = Kind("serin.dev", "v1alpha1", "modelrollouts", "ModelRollout")
JOBS = Kind("batch", "v1", "jobs", "Job")
JOB_SETS = Kind("jobset.x-k8s.io", "v1alpha2", "jobsets", "JobSet")
PODS = Kind("", "v1", "pods", "Pod")
CONFIG_MAPS = Kind("", "v1", "configmaps", "ConfigMap")
EVENTS = Kind("events.k8s.io", "v1", "events", "Event")
LEASES = Kind("coordination.k8s.io", "v1", "leases", "Lease")
WORKLOADS = Kind("kueue.x-k8s.io", "v1beta1", "workloads", "Workload")
LOCAL_QUEUES = Kind("kueue.x-k8s.io", "v1beta1", "localqueues", "LocalQueue")
RAY_SERVICES = Kind("ray.io", "v1", "rayservices", "RayService")
