"""A real cluster as a back end, by ordinary API requests alone.

It needs an API server and the rights of an administrator: namespaces, CRDs and a Node are made and removed. The Node is one that
nothing runs: pods are bound to it, and the tests say what becomes of them (``kubelet``), as kwok does. So a cluster without nodes
does, such as envtest's etcd and kube-apiserver, with kube-controller-manager for everything that has Jobs.
"""

from .installation import Installation
from .place import Place

__all__ = ["Installation", "Place"]
