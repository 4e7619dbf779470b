"""Which kinds the stand-in serves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Resource:
    """One kind under its path. ``manifest`` is the CustomResourceDefinition of a custom one that has a schema."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    has_status: bool = True
    """Whether status is written under ``/status`` alone."""
    has_generation: bool = True
    short_names: tuple[str, ...] = ()
    manifest: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)

    @property
    def api_version(self) -> str:
        """As objects have it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def is_custom(self) -> bool:
        """Whether a CustomResourceDefinition would define it on a real cluster."""
        return ("." in self.group and not self.group.endswith(".k8s.io")) or self.group.endswith(".x-k8s.io")

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """OpenAPI of a custom resource."""
        if self.manifest is None:
            return None
        versions = {v["name"]: v for v in self.manifest["spec"]["versions"]}
        schema: Mapping[str, Any] = versions[self.version]["schema"]["openAPIV3Schema"]
        return schema


JOBS = Resource("batch", "v1", "jobs", "Job")
PODS = Resource("", "v1", "pods", "Pod", has_generation=False, short_names=("po",))
SERVICES = Resource("", "v1", "services", "Service", has_generation=False)
CORE_EVENTS = Resource("", "v1", "events", "Event", has_status=False, has_generation=False)
EVENTS = Resource("events.k8s.io", "v1", "events", "Event", has_status=False, has_generation=False)
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", has_status=False, has_generation=False)
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False, has_generation=False)
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease", has_status=False, has_generation=False)
SERVICE_ACCOUNTS = Resource(
    "", "v1", "serviceaccounts", "ServiceAccount", has_status=False, has_generation=False, short_names=("sa",)
)
NODES = Resource("", "v1", "nodes", "Node", namespaced=False, has_generation=False, short_names=("no",))
_RBAC = "rbac.authorization.k8s.io"
ROLES = Resource(_RBAC, "v1", "roles", "Role", has_status=False, has_generation=False)
ROLE_BINDINGS = Resource(_RBAC, "v1", "rolebindings", "RoleBinding", has_status=False, has_generation=False)
PRIORITY_CLASSES = Resource(
    "scheduling.k8s.io",
    "v1",
    "priorityclasses",
    "PriorityClass",
    namespaced=False,
    has_status=False,
    short_names=("pc",),
)
DEFINITIONS = Resource(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    namespaced=False,
    short_names=("crd",),
)
JOB_SETS = Resource("jobset.x-k8s.io", "v1alpha2", "jobsets", "JobSet")
WORKLOADS = Resource("kueue.x-k8s.io", "v1beta1", "workloads", "Workload", short_names=("wl",))
LOCAL_QUEUES = Resource("kueue.x-k8s.io", "v1beta1", "localqueues", "LocalQueue")
CLUSTER_QUEUES = Resource("kueue.x-k8s.io", "v1beta1", "clusterqueues", "ClusterQueue", namespaced=False)
RESOURCE_FLAVORS = Resource(
    "kueue.x-k8s.io", "v1beta1", "resourceflavors", "ResourceFlavor", namespaced=False, has_status=False
)
WORKLOAD_PRIORITY_CLASSES = Resource(
    "kueue.x-k8s.io", "v1beta1", "workloadpriorityclasses", "WorkloadPriorityClass", namespaced=False, has_status=False
)
RAY_SERVICES = Resource("ray.io", "v1", "rayservices", "RayService")

BUILT_IN = (
    JOBS,
    PODS,
    SERVICES,
    CORE_EVENTS,
    EVENTS,
    CONFIG_MAPS,
    NAMESPACES,
    LEASES,
    SERVICE_ACCOUNTS,
    NODES,
    ROLES,
    ROLE_BINDINGS,
    PRIORITY_CLASSES,
    DEFINITIONS,
)
EXTENSIONS = (
    JOB_SETS,
    WORKLOADS,
    LOCAL_QUEUES,
    CLUSTER_QUEUES,
    RESOURCE_FLAVORS,
    WORKLOAD_PRIORITY_CLASSES,
    RAY_SERVICES,
)


def custom(manifests: Sequence[Mapping[str, Any]]) -> list[Resource]:
    """The resources that CustomResourceDefinitions define."""
    found = []
    for manifest in manifests:
        spec = manifest["spec"]
        for version in spec["versions"]:
            found.append(
                Resource(
                    spec["group"],
                    version["name"],
                    spec["names"]["plural"],
                    spec["names"]["kind"],
                    namespaced=spec["scope"] == "Namespaced",
                    has_status="status" in version.get("subresources", {}),
                    short_names=tuple(spec["names"].get("shortNames", [])),
                    manifest=manifest,
                )
            )
    return found
