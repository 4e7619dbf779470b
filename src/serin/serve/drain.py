"""How long what ends may take: each wait is longer than the one inside it, so that a drain cuts no request off.

request < replica's shutdown < HAProxy's hard stop < pod's grace period

HAProxy reloads whenever a replica comes or goes, and the worker of before keeps its streams until the hard stop
(docs.haproxy.org, hard-stop-after); KubeRay's pods get SIGTERM only then (terminationGracePeriodSeconds).
"""

import math

_REPLICA_MARGIN_S = 10
_HARD_STOP_MARGIN_S = 30
_POD_MARGIN_S = 60


def replica_s(request_timeout_s: float) -> float:
    """Serve's ``graceful_shutdown_timeout_s``: how long a replica that is to go may answer what it has begun."""
    return request_timeout_s + _REPLICA_MARGIN_S


def hard_stop_s(request_timeout_s: float) -> int:
    """HAProxy's ``hard-stop-after``: how long a worker that was replaced keeps its streams."""
    return math.ceil(request_timeout_s) + _HARD_STOP_MARGIN_S


def pod_s(request_timeout_s: float) -> int:
    """``terminationGracePeriodSeconds`` of the pods of a Ray cluster."""
    return math.ceil(request_timeout_s) + _POD_MARGIN_S
