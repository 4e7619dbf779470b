"""The API server of a Kubernetes cluster. One rule: every request has a time-out, and objects are plain JSON.

The package ``kubernetes`` gives the credentials (kubeconfig, plugins, ServiceAccount) and the HTTP transport; its generated
models are not used, since they cost memory and lose fields that they do not know.
"""

from serin.clients.kubernetes.cluster import Cluster, Object
from serin.clients.kubernetes.faults import (
    AbsentError,
    ConflictError,
    ExistsError,
    ExpiredError,
    ForbiddenError,
    InvalidError,
    UnavailableError,
)
from serin.clients.kubernetes.kinds import Kind
from serin.clients.kubernetes.opening import open_cluster

__all__ = [
    "AbsentError",
    "Cluster",
    "ConflictError",
    "ExistsError",
    "ExpiredError",
    "ForbiddenError",
    "InvalidError",
    "Kind",
    "Object",
    "UnavailableError",
    "open_cluster",
]
