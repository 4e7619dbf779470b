"""The scheduler's message, read: which resource is short on how many nodes.

``0/12 nodes are available: 8 Insufficient nvidia.com/gpu, 4 node(s) had untolerated taint {gpu: }. preemption: 0/12 …``
(pkg/scheduler/framework/types.go of Kubernetes, ``FitError``)
"""

import re
from collections.abc import Mapping

from serin.controller.reasons.cause import Cause, shortened

_HEAD = re.compile(r"^0/(\d+) nodes? (?:is|are) available:? ?")
_SHORT = re.compile(r"^(\d+) Insufficient (\S+)$")
_TOO_MANY = re.compile(r"^(\d+) Too many pods$")
_TAINT = re.compile(r"^(\d+) node\(s\) had (?:an )?untolerated taint(?:\(s\))? ?(.*)$")
_SELECTOR = re.compile(r"^(\d+) node\(s\) didn't match Pod's node affinity/selector$")
_UNSCHEDULABLE = re.compile(r"^(\d+) node\(s\) were unschedulable$")


def unschedulable(message: str, asked: Mapping[str, str]) -> Cause:
    """Why no node takes a pod.

    Args:
        message: of the pod's condition PodScheduled.
        asked: what the pod requests, by resource.
    """
    head = _HEAD.match(message)
    if not head:
        return Cause("Unschedulable", shortened(f"no node takes the pod: {message or 'the scheduler gave no reason'}"))
    listed = re.split(r"\. (?:preemption|no new claims)|\.\s*$", message[head.end() :], maxsplit=1)[0]
    words = [_in_words(part.strip(), asked) for part in re.split(r", (?=\d+ )", listed) if part.strip()]
    total = int(head[1])
    found = "; ".join(words) or "the scheduler gave no reason"
    of = "the cluster has no nodes" if total == 0 else f"of {total} node{'s' if total > 1 else ''}, {found}"
    return Cause(
        "Unschedulable", shortened(f"no node takes the pod: {of}. It waits; add or free nodes, or ask for less")
    )


def _in_words(part: str, asked: Mapping[str, str]) -> str:
    if short := _SHORT.match(part):
        resource = short[2]
        wants = f" (the pod asks for {asked[resource]})" if resource in asked else ""
        return f"{short[1]} {_have(short[1])} too little {resource} free{wants}"
    if full := _TOO_MANY.match(part):
        return f"{full[1]} {_have(full[1])} as many pods as they may"
    if taint := _TAINT.match(part):
        return f"{taint[1]} {_have(taint[1])} a taint that placement.tolerations does not name {taint[2]}".rstrip()
    if selector := _SELECTOR.match(part):
        return f"{selector[1]} {'does' if selector[1] == '1' else 'do'} not match placement.nodeSelector"
    if cordoned := _UNSCHEDULABLE.match(part):
        return f"{cordoned[1]} {'is' if cordoned[1] == '1' else 'are'} closed to new pods"
    return part


def _have(count: str) -> str:
    return "has" if count == "1" else "have"
