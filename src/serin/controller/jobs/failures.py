"""Which failures of a pod count, which do not, and which end everything at once."""

from typing import Any, Literal

from serin.controller.jobs.pod import CONTAINER

FINAL_CODES = (2, 3, 78)
"""Exit codes that another try does not change: usage, a gate's no, configuration."""
RETRY_CODE = 75
"""Preempted, and a new checkpoint saved."""
DISRUPTED = "DisruptionTarget"
"""A pod's condition where the cluster, and not the program, ended it: drained, preempted, the node lost (KEP-3329)."""
DEADLINE_EXCEEDED = "DeadlineExceeded"
POD_FAILURE_POLICY = "PodFailurePolicy"


def pod_failure_policy(freely: Literal["Ignore", "FailJob"]) -> dict[str, Any]:
    """A Job's ``podFailurePolicy``; the first rule that matches counts, and a failure that none matches counts as one retry.

    Args:
        freely: what becomes of a pod that may start again without counting. A Job starts another one (``Ignore``). A Job in a
            JobSet ends (``FailJob``): the others wait for the pod in vain, so that all have to start again.
    """
    return {
        "rules": [
            # First, because a pod that is drained may exit with any code.
            {"action": freely, "onPodConditions": [{"type": DISRUPTED, "status": "True"}]},
            # Suspended by Kueue, or stopped otherwise: work went on, and what was done is kept.
            {"action": freely, "onExitCodes": _codes(RETRY_CODE)},
            # The same input would fail the same way, at the price of a GPU.
            {"action": "FailJob", "onExitCodes": _codes(*FINAL_CODES)},
        ]
    }


def jobset_failure_policy(retries: int) -> dict[str, Any]:
    """What a JobSet does when its Job has failed; the first rule that matches counts, and where none does it is a retry.

    A Job that its ``podFailurePolicy`` ended always has the reason ``PodFailurePolicy``; only the message tells which rule it
    was: ``Container run for pod ns/pod failed with exit code 78 matching FailJob rule at index 2``, or ``Pod ns/pod has
    condition DisruptionTarget matching FailJob rule at index 0`` (pkg/controller/job/pod_failure_policy.go of Kubernetes). So
    this needs ``onJobFailureMessagePatterns``, which JobSet has from 0.10 on (KEP-262). With an older one the API server would
    drop the field without a word, and every preemption would end the run: it is asked to refuse what it does not know.

    Where a node vanishes without a word, the other pods may be seen to fail first, with a code of their own: such a loss
    counts as a retry.

    Args:
        retries: failures after which it is given up.
    """
    final = "|".join(str(code) for code in FINAL_CODES)
    return {
        "maxRestarts": retries,
        # Never two worlds that write one checkpoint: the old pods are gone before new ones are made.
        "restartStrategy": "BlockingRecreate",
        "rules": [
            {
                "name": "final",
                "action": "FailJobSet",
                "onJobFailureReasons": [POD_FAILURE_POLICY],
                "onJobFailureMessagePatterns": [f"failed with exit code ({final}) "],
            },
            {"name": "deadline", "action": "FailJobSet", "onJobFailureReasons": [DEADLINE_EXCEEDED]},
            {
                "name": "disrupted",
                "action": "RestartJobSetAndIgnoreMaxRestarts",
                "onJobFailureReasons": [POD_FAILURE_POLICY],
                "onJobFailureMessagePatterns": [f"has condition {DISRUPTED} ", f"failed with exit code {RETRY_CODE} "],
            },
        ],
    }


def _codes(*values: int) -> dict[str, Any]:
    return {"containerName": CONTAINER, "operator": "In", "values": list(values)}
