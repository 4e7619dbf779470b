"""The scheduler and the kubelet: play what tests say that pods do."""

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ..clock import moment
from .node import Clock, Node, Object
from .outcomes import Outcome, Succeed
from .pod import Pod, StorageOf
from .processes import kill

_OVER = ("Succeeded", "Failed")


@dataclass
class _Life:
    pod: Pod
    outcome: Outcome
    playing: Iterator[None]
    stopping: bool = False


class Pods:
    """What becomes of pods. Unless a test says otherwise, they succeed at once."""

    def __init__(self, node: Node, clock: Clock, storage_of: StorageOf) -> None:
        self.default: Outcome = Succeed()
        self._node = node
        self._clock = clock
        self._storage_of = storage_of
        self._scripts: list[tuple[Mapping[str, str], deque[Outcome]]] = []
        self._lives: dict[str, _Life] = {}
        self._logs: dict[tuple[str, str], Pod] = {}

    # ---- what tests say --------------------------------------------------------------------------------------------------
    def script(self, *outcomes: Outcome, **labels: str) -> None:
        """Each new pod takes the next outcome, the last one for good. ``labels`` such as ``stage="train"`` or
        ``finetune="law"`` are those under ``serin.dev/``. Scripts that were given later come first."""
        wanted = {f"serin.dev/{name}": value for name, value in labels.items()}
        self._scripts.insert(0, (wanted, deque(outcomes)))

    def release(self, **labels: str) -> None:
        """Let every pod that works go on to its end."""
        for pod in self.living(**labels):
            pod.released = True

    def living(self, **labels: str) -> list[Pod]:
        """Pods that have not ended."""
        wanted = {f"serin.dev/{name}": value for name, value in labels.items()}
        lives = [life.pod for life in list(self._lives.values())]
        return [
            pod for pod in lives if wanted.items() <= pod.labels.items() and _phase(pod.current()) not in (None, *_OVER)
        ]

    def disrupt(self, reason: str = "EvictionByEvictionAPI", **labels: str) -> None:
        """Drain the nodes of these pods."""
        for pod in self.living(**labels):
            pod.disrupt(reason, "Eviction API: evicting")
            pod.delete()

    # ---- what the API reads ----------------------------------------------------------------------------------------------
    def log(self, namespace: str, pod: str) -> bytes:
        """What a pod printed until now."""
        found = self._logs.get((namespace, pod))
        return b"" if found is None else found.printed

    def printing(self, namespace: str, pod: str) -> bool:
        """Whether it may print more."""
        found = self._logs.get((namespace, pod))
        return found is not None and _phase(found.current()) not in (None, *_OVER)

    # ---- the kubelet's work ----------------------------------------------------------------------------------------------
    def step(self) -> None:
        """One look at every pod."""
        seen = set()
        for made in self._node.pods():
            uid = made["metadata"]["uid"]
            seen.add(uid)
            if _phase(made) in _OVER:
                self._drop(uid)
                if made["metadata"].get("deletionTimestamp"):
                    self._node.confirm(made)
                continue
            if uid not in self._lives:
                self._lives[uid] = self._born(made)
            self._look(self._lives[uid], made)
        for uid in set(self._lives) - seen:
            self._drop(uid)

    def close(self) -> None:
        """Kill what still runs."""
        for uid in list(self._lives):
            self._drop(uid)

    def _drop(self, uid: str) -> None:
        """Nothing of a pod outlives it."""
        life = self._lives.pop(uid, None)
        if life is not None and life.pod.process is not None:
            kill(life.pod.process)

    def _born(self, made: Object) -> _Life:
        pod = Pod(self._node, self._clock, self._storage_of, made)
        self._logs[pod.namespace, pod.name] = pod
        outcome = self._next(pod.labels)
        return _Life(pod, outcome, outcome.play(pod))

    def _next(self, labels: Mapping[str, str]) -> Outcome:
        for wanted, outcomes in self._scripts:
            if wanted.items() <= labels.items() and outcomes:
                return outcomes.popleft() if len(outcomes) > 1 else outcomes[0]
        return self.default

    def _look(self, life: _Life, made: Object) -> None:
        metadata = made["metadata"]
        if metadata.get("deletionTimestamp"):
            if not life.stopping:
                life.stopping = True
                life.playing = life.outcome.stop(life.pod)
            if life.pod.seconds() > moment(metadata["deletionTimestamp"]).timestamp():
                life.pod.end(137, "", raw="")
                return
        with suppress(StopIteration):
            next(life.playing)


def _phase(pod: Mapping[str, Any] | None) -> str | None:
    return None if pod is None else str(pod.get("status", {}).get("phase", "Pending"))
