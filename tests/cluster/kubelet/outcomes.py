"""What pods do: the scripts that tests give the kubelet.

An outcome is played step by step: each ``yield`` is one look of the kubelet, so that whoever watches sees every state between.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .pod import Pod


class Outcome(Protocol):
    """How a pod goes."""

    def play(self, pod: Pod) -> Iterator[None]:
        """Everything until it ends by itself."""

    def stop(self, pod: Pod) -> Iterator[None]:
        """What it does after SIGTERM; it is killed when its grace period is over."""


@dataclass(frozen=True)
class _Started:
    """Comes up as it should; ``seconds`` of work by the cluster's clock, and ``progress`` as the trainer writes it."""

    seconds: float = 0.0
    progress: Sequence[Mapping[str, Any]] = ()
    lines: Sequence[str] = ("serin: starting",)

    def play(self, pod: Pod) -> Iterator[None]:
        """Scheduled, pulled, started, at work."""
        pod.schedule()
        yield
        pod.start()
        for line in self.lines:
            pod.print(line)
        yield
        for progress in self.progress:
            pod.progress(progress)
            yield
        until = pod.seconds() + self.seconds
        while pod.seconds() < until:
            yield
        yield from self.finish(pod)

    def finish(self, pod: Pod) -> Iterator[None]:
        """How it ends."""
        raise NotImplementedError

    def stop(self, pod: Pod) -> Iterator[None]:
        """A trainer that saves a checkpoint and says so."""
        pod.print("serin: stopped by SIGTERM: a checkpoint was saved")
        pod.end(75, "stopped by SIGTERM at step 40 after checkpoint-40 was saved: run again to go on from it")
        yield


@dataclass(frozen=True)
class Succeed(_Started):
    """Done: the result is in storage before the container ends. ``passed`` is what the gate of ``evaluate`` says."""

    metrics: Mapping[str, Any] = field(default_factory=dict)
    passed: bool | None = None
    missed: Sequence[str] = ()

    def finish(self, pod: Pod) -> Iterator[None]:
        """Leave the result, then end."""
        result = pod.leave_result(self.metrics, self.passed, self.missed)
        pod.print("serin: done")
        pod.end(0, "done", result)
        yield


@dataclass(frozen=True)
class CompleteWithoutResult(_Started):
    """Exits 0 and leaves nothing: what must never be taken for done."""

    def finish(self, pod: Pod) -> Iterator[None]:
        """End with 0."""
        pod.end(0, "done")
        yield


@dataclass(frozen=True)
class Exit(_Started):
    """Ends with a code and a message; ``raw`` is the termination message where it is no ``Ending``."""

    code: int = 1
    message: str = "the run failed"
    raw: str | None = None

    def finish(self, pod: Pod) -> Iterator[None]:
        """End."""
        pod.print(f"serin: {self.message}")
        pod.end(self.code, self.message, raw=self.raw)
        yield


@dataclass(frozen=True)
class OutOfMemory(_Started):
    """The kernel kills the container."""

    def finish(self, pod: Pod) -> Iterator[None]:
        """SIGKILL by the OOM killer: no message."""
        pod.end(137, "", raw="", reason="OOMKilled")
        yield


@dataclass(frozen=True)
class Disrupt(_Started):
    """The node is drained or the pod preempted: condition DisruptionTarget, SIGTERM, gone (KEP-3329)."""

    reason: str = "EvictionByEvictionAPI"
    message: str = "Eviction API: evicting"

    def finish(self, pod: Pod) -> Iterator[None]:
        """As the eviction API does it: the condition first, then the deletion."""
        pod.disrupt(self.reason, self.message)
        pod.delete()
        yield


@dataclass(frozen=True)
class Evict(_Started):
    """The kubelet evicts the pod, for want of ephemeral storage or memory of the node."""

    message: str = "The node was low on resource: ephemeral-storage. Container run was using 60Gi, request is 50Gi."

    def finish(self, pod: Pod) -> Iterator[None]:
        """Failed with reason Evicted."""
        pod.disrupt("TerminationByKubelet", self.message)
        pod.fail("Evicted", self.message)
        yield


@dataclass(frozen=True)
class ImagePull:
    """The image cannot be pulled; the pod stays pending."""

    message: str = "Back-off pulling image: manifest unknown"

    def play(self, pod: Pod) -> Iterator[None]:
        """ErrImagePull, then ImagePullBackOff for good."""
        pod.schedule()
        yield
        pod.wait("ErrImagePull", self.message)
        yield
        pod.wait("ImagePullBackOff", self.message)
        while True:
            yield

    def stop(self, pod: Pod) -> Iterator[None]:
        """Nothing runs."""
        pod.fail("", "")
        yield


@dataclass(frozen=True)
class SecretMissing(ImagePull):
    """The container cannot be made."""

    message: str = 'secret "s3" not found'

    def play(self, pod: Pod) -> Iterator[None]:
        """CreateContainerConfigError for good."""
        pod.schedule()
        yield
        pod.wait("CreateContainerConfigError", self.message)
        while True:
            yield


@dataclass(frozen=True)
class Unschedulable:
    """No node has room. After ``steps`` looks one has, where that is given, and ``then`` is played."""

    message: str = (
        "0/12 nodes are available: 4 node(s) had untolerated taint {dedicated: infra}, 8 Insufficient nvidia.com/gpu. "
        "preemption: 0/12 nodes are available: 12 Preemption is not helpful for scheduling."
    )
    steps: int | None = None
    then: Outcome | None = None

    def play(self, pod: Pod) -> Iterator[None]:
        """PodScheduled False."""
        pod.unschedulable(self.message)
        looks = 0
        while self.steps is None or looks < self.steps:
            looks += 1
            yield
        if self.then is not None:
            yield from self.then.play(pod)

    def stop(self, pod: Pod) -> Iterator[None]:
        """Nothing runs."""
        pod.fail("", "")
        yield


@dataclass(frozen=True)
class Work(_Started):
    """Runs until it is stopped, or until ``Pods.release`` lets it play ``then``. ``deaf``: it does not hear SIGTERM."""

    deaf: bool = False
    then: Outcome = field(default_factory=Succeed)

    def finish(self, pod: Pod) -> Iterator[None]:
        """Go on."""
        while not pod.released:
            yield
        if isinstance(self.then, _Started):
            yield from self.then.finish(pod)

    def stop(self, pod: Pod) -> Iterator[None]:
        """Save a checkpoint, or hear nothing."""
        while self.deaf:
            yield
        yield from super().stop(pod)
