"""A stage's result from its pod's last words: it stands in storage before they are spoken, and they are heard sooner."""

from collections.abc import Sequence

from serin.controller.objects import container_state
from serin.controller.observed import Manifest
from serin.controller.reasons.pods import last_words
from serin.core.task import Result, Stage


def result_of(stage: Stage, pods: Sequence[Manifest]) -> Result | None:
    """What a pod of the stage that ended with 0 said; None where none did."""
    for pod in pods:
        if (container_state(pod, "terminated") or {}).get("exitCode") != 0:
            continue
        ending, _ = last_words(pod)
        if ending and ending.result and ending.result.stage == stage:
            return ending.result
    return None
