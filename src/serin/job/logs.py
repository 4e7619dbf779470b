"""What the pods of a run printed: from the pod while it lives, and from storage before and after; no line twice or lost."""

from collections.abc import Callable, Mapping
from typing import Any

from serin.clients.kubernetes.cluster import Cluster
from serin.clients.kubernetes.faults import AbsentError, InvalidError, UnavailableError
from serin.clients.kubernetes.kinds import FINE_TUNES, PODS
from serin.clients.storage import Storage
from serin.core.task import Stage, attempt_prefix, log_prefix
from serin.job.attempts import UID_LABEL, Attempt, attempts_at, choose, stages_of
from serin.job.follow import Pace, patiently
from serin.job.seam import after_printed, after_stored
from serin.job.wording import ENDED, phase_of

CONTAINER = "run"
_ENDED = "ended.json"
_ALIVE = ("Pending", "Running")
Write = Callable[[bytes], None]
Tell = Callable[[str], None]


class Logs:
    """Of one FineTune. What pods printed goes to ``write``, titles and what else there is to say to ``tell``."""

    def __init__(self, cluster: Cluster, storage: Storage, write: Write, tell: Tell, pace: Pace | None = None) -> None:
        self.cluster = cluster
        self.storage = storage
        self.write = write
        self.tell = tell
        self.pace = pace or Pace()

    def show(self, finetune: Mapping[str, Any], stage: Stage | None, wanted: str | None) -> bool:
        """Print one attempt as far as it has come: the newest at the newest stage, if nothing else is wanted.

        Returns whether there was one.

        Raises:
            UsageError: no attempt of that number or name.
        """
        attempt = self._newest(finetune, stage, wanted)
        if attempt is None:
            return False
        self.tell(f"==> {attempt.title}")
        _AttemptLog(self, attempt).print_all(follow=False)
        return True

    def follow(self, finetune: Mapping[str, Any], stage: Stage | None, wanted: str | None) -> None:
        """Print one attempt and, if none was named, all that come after it, until the run (or ``stage``) has ended."""
        name, shown = finetune["metadata"]["name"], set[tuple[Stage, str]]()
        while True:
            attempts = [one for one in self._all(finetune, stage) if _key(one) not in shown]
            if not shown and (first := self._newest(finetune, stage, wanted)):
                shown = {_key(one) for one in attempts}
                attempts = [first]
            for attempt in attempts:
                self.tell(f"==> {attempt.title}")
                _AttemptLog(self, attempt).print_all(follow=True)
                shown.add(_key(attempt))
            if wanted is not None and shown:
                return
            if not attempts and (phase_of(finetune) in ENDED or (stage is not None and _is_over(finetune, stage))):
                return
            if not attempts:
                self.pace.sleep(self.pace.every_s)
            found = patiently(lambda: self.cluster.get(FINE_TUNES, name), self.tell, self.pace)
            if found is None or found["metadata"]["uid"] != finetune["metadata"]["uid"]:
                self.tell(f"{name} was deleted; what its stages stored stays in storage")
                return
            finetune = found

    def pod(self, name: str) -> Mapping[str, Any] | None:
        """The pod, if it is still there."""
        return patiently(lambda: self.cluster.get(PODS, name), self.tell, self.pace)

    def _newest(self, finetune: Mapping[str, Any], stage: Stage | None, wanted: str | None) -> Attempt | None:
        for one in [stage] if stage else reversed(stages_of(finetune)):
            found = self._attempts(finetune, one)
            if found or stage is not None:
                return choose(found, wanted, one)
        return None

    def _all(self, finetune: Mapping[str, Any], stage: Stage | None) -> list[Attempt]:
        return [one for each in ([stage] if stage else stages_of(finetune)) for one in self._attempts(finetune, each)]

    def _attempts(self, finetune: Mapping[str, Any], stage: Stage) -> list[Attempt]:
        labels = {UID_LABEL: finetune["metadata"]["uid"]}
        pods, _ = patiently(lambda: self.cluster.list(PODS, labels), self.tell, self.pace)
        return attempts_at(finetune, stage, self.storage, pods)


class _AttemptLog:
    """One attempt's log. ``_printed`` is all that was printed since the last byte that came from storage."""

    def __init__(self, logs: Logs, attempt: Attempt) -> None:
        self._logs = logs
        self._attempt = attempt
        self._parts = 0
        self._stored = bytearray()
        self._printed = bytearray()
        self._behind = bytearray()

    def print_all(self, follow: bool) -> None:
        """Print what there is, and what comes until the pod has ended if ``follow``."""
        while True:
            over = self._is_over()
            self._print_stored()
            pod = self._logs.pod(self._attempt.pod)
            if pod is not None:
                self._print_from_pod(follow=follow and not over)
            if over or pod is None or not follow:
                self._print_stored()
                return
            self._logs.pace.sleep(self._logs.pace.every_s)

    def _is_over(self) -> bool:
        """Whether the attempt has said so, or its pod does, or it is gone."""
        if self._logs.storage.list(f"{attempt_prefix(self._attempt.prefix, self._attempt.pod)}/{_ENDED}"):
            return True
        pod = self._logs.pod(self._attempt.pod)
        return pod is None or (pod.get("status") or {}).get("phase", "Pending") not in _ALIVE

    def _print_stored(self) -> None:
        """Read the parts that are new, and print what of them the pod has not said already."""
        prefix = log_prefix(self._attempt.prefix, self._attempt.pod)
        for key in self._logs.storage.list(f"{prefix}/")[self._parts :]:
            self._behind += self._logs.storage.read(key)
            self._parts += 1
        rest = after_printed(bytes(self._printed), bytes(self._behind))
        if rest or bytes(self._behind) == bytes(self._printed):
            self._logs.write(rest)
            self._stored += self._behind
            self._printed.clear()
            self._behind.clear()

    def _print_from_pod(self, follow: bool) -> None:
        """Print what the pod has said beyond that; with ``follow``, until its log ends or the connection breaks."""
        try:
            said = b"".join(self._logs.cluster.pod_log(self._attempt.pod, CONTAINER))
            rest = after_stored(bytes(self._stored + self._printed), said)
            if rest is None:
                return
            self._say(rest)
            if not follow:
                return
            skip = len(said)
            begun = b""
            for chunk in self._logs.cluster.pod_log(self._attempt.pod, CONTAINER, follow=True):
                if skip:
                    begun += chunk
                    if len(begun) < skip:
                        continue
                    if not begun.startswith(said):  # rotated between the two requests
                        return
                    chunk, skip = begun[skip:], 0
                self._say(chunk)
        except (AbsentError, InvalidError, UnavailableError):
            # The container has not started, the pod is gone, or nobody answers: storage has, or will have, what is missing.
            return

    def _say(self, data: bytes) -> None:
        self._logs.write(data)
        self._printed += data


def _key(attempt: Attempt) -> tuple[Stage, str]:
    return attempt.stage, attempt.pod


def _is_over(finetune: Mapping[str, Any], stage: Stage) -> bool:
    states = {one["name"]: one.get("state") for one in (finetune.get("status") or {}).get("stages") or []}
    return states.get(stage) in ("Done", "Failed")
