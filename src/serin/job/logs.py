"""What the pods of a run printed: from the pod while it lives, and from storage before and after; no line twice or lost."""

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from serin.clients.kubernetes.cluster import Cluster
from serin.clients.kubernetes.faults import AbsentError, InvalidError, UnavailableError
from serin.clients.kubernetes.kinds import FINE_TUNES, PODS
from serin.clients.storage import Storage
from serin.controller.jobs.names import UID_LABEL
from serin.controller.jobs.pod import CONTAINER
from serin.core.errors import SerinError
from serin.core.task import Stage, attempt_prefix, log_prefix
from serin.job.attempts import Attempt, attempts_at, choose, only_rank, stages_of
from serin.job.follow import Pace, patiently
from serin.job.lines import RankedLines, Write
from serin.job.seam import after_printed, after_stored
from serin.job.wording import ENDED, phase_of

_ENDED = "ended.json"
_ALIVE = ("Pending", "Running")
Tell = Callable[[str], None]


class Logs:
    """Of one FineTune. What pods printed goes to ``write``, titles and what else there is to say to ``tell``."""

    def __init__(self, cluster: Cluster, storage: Storage, write: Write, tell: Tell, pace: Pace | None = None) -> None:
        self.cluster = cluster
        self.storage = storage
        self.write = write
        self.tell = tell
        self.pace = pace or Pace()

    def show(
        self, finetune: Mapping[str, Any], stage: Stage | None, wanted: str | None, rank: int | None = None
    ) -> bool:
        """Print one attempt as far as it has come: the newest at the newest stage, if nothing else is wanted.

        Of pods that train together one after the other, each line with its rank before it; or that of ``rank`` alone.
        Returns whether there was an attempt.

        Raises:
            UsageError: no attempt of that number or name, or none of its pods has that rank.
        """
        attempt = self._newest(finetune, stage, wanted)
        if attempt is None:
            return False
        attempt = only_rank(attempt, rank)
        self.tell(f"==> {attempt.title}")
        lines = RankedLines(self.write)
        for number, pod in attempt.pods.items():
            write = lines.of(number) if len(attempt.pods) > 1 else self.write
            _PodLog(self, attempt.prefix, pod, write).print_all(follow=False)
            lines.end(number)
        return True

    def follow(
        self, finetune: Mapping[str, Any], stage: Stage | None, wanted: str | None, rank: int | None = None
    ) -> None:
        """Print one attempt and, if none was named, all that come after it, until the run (or ``stage``) has ended.

        Raises:
            UsageError: as ``show``.
        """
        name, shown = finetune["metadata"]["name"], set[tuple[Stage, str]]()
        while True:
            attempts = [one for one in self._all(finetune, stage) if not _keys(one) & shown]
            if not shown and (first := self._newest(finetune, stage, wanted)):
                shown = {key for one in attempts for key in _keys(one)}
                if wanted in first.pods.values():
                    rank = next(iter(first.pods))
                attempts = [only_rank(first, rank)]
            attempts = [one for one in attempts if rank is None or rank in one.pods]
            for attempt in attempts:
                self.tell(f"==> {attempt.title}")
                shown |= self._follow_attempt(finetune, attempt, rank)
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

    def _follow_attempt(
        self, finetune: Mapping[str, Any], attempt: Attempt, rank: int | None
    ) -> set[tuple[Stage, str]]:
        """Print an attempt to its end, pods that train together side by side; the keys of all that was seen of it."""
        if rank is not None or not _is_of_several(finetune, attempt):
            for pod in (pod for number, pod in attempt.pods.items() if rank in (None, number)):
                _PodLog(self, attempt.prefix, pod, self.write).print_all(follow=True)
            return _keys(attempt)
        lines, followers, seen = RankedLines(self.write), dict[str, _Follower](), set[tuple[Stage, str]]()
        while True:
            seen |= _keys(attempt)
            for number, pod in attempt.pods.items():
                if pod not in followers:
                    log = _PodLog(self, attempt.prefix, pod, lines.of(number))
                    followers[pod] = _Follower(log, partial(lines.end, number))
            if not any(follower.is_alive() for follower in followers.values()):
                break
            self.pace.sleep(self.pace.every_s)
            again = self._attempts(finetune, attempt.stage)  # a pod may have come later than the first one
            attempt = next((one for one in again if _keys(one) & seen), attempt)
        for follower in followers.values():
            follower.check()
        return seen

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


class _Follower(threading.Thread):
    """Follows one pod's log beside others; it does not keep a user who leaves."""

    def __init__(self, log: "_PodLog", end: Callable[[], None]) -> None:
        super().__init__(name="log", daemon=True)
        self._log = log
        self._end = end
        self._error: SerinError | None = None
        self.start()

    def run(self) -> None:
        """Print all of it."""
        try:
            self._log.print_all(follow=True)
        except SerinError as error:
            self._error = error
        self._end()

    def check(self) -> None:
        """Raises what went wrong."""
        if self._error is not None:
            raise self._error


class _PodLog:
    """One pod's log. ``_printed`` is all that was printed since the last byte that came from storage."""

    def __init__(self, logs: Logs, prefix: str, pod: str, write: Write) -> None:
        self._logs = logs
        self._prefix = prefix
        self._pod = pod
        self._write = write
        self._parts = 0
        self._stored = bytearray()
        self._printed = bytearray()
        self._behind = bytearray()

    def print_all(self, follow: bool) -> None:
        """Print what there is, and what comes until the pod has ended if ``follow``."""
        while True:
            over = self._is_over()
            self._print_stored()
            pod = self._logs.pod(self._pod)
            if pod is not None:
                self._print_from_pod(follow=follow and not over)
            if over or pod is None or not follow:
                self._print_stored()
                return
            self._logs.pace.sleep(self._logs.pace.every_s)

    def _is_over(self) -> bool:
        """Whether the attempt has said so, or its pod does, or it is gone."""
        if self._logs.storage.list(f"{attempt_prefix(self._prefix, self._pod)}/{_ENDED}"):
            return True
        pod = self._logs.pod(self._pod)
        return pod is None or (pod.get("status") or {}).get("phase", "Pending") not in _ALIVE

    def _print_stored(self) -> None:
        """Read the parts that are new, and print what of them the pod has not said already."""
        prefix = log_prefix(self._prefix, self._pod)
        for key in self._logs.storage.list(f"{prefix}/")[self._parts :]:
            self._behind += self._logs.storage.read(key)
            self._parts += 1
        rest = after_printed(bytes(self._printed), bytes(self._behind))
        if rest or bytes(self._behind) == bytes(self._printed):
            self._write(rest)
            self._stored += self._behind
            self._printed.clear()
            self._behind.clear()

    def _print_from_pod(self, follow: bool) -> None:
        """Print what the pod has said beyond that; with ``follow``, until its log ends or the connection breaks."""
        try:
            said = b"".join(self._logs.cluster.pod_log(self._pod, CONTAINER))
            rest = after_stored(bytes(self._stored + self._printed), said)
            if rest is None:
                return
            self._say(rest)
            if not follow:
                return
            skip = len(said)
            begun = b""
            for chunk in self._logs.cluster.pod_log(self._pod, CONTAINER, follow=True):
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
        self._write(data)
        self._printed += data


def _keys(attempt: Attempt) -> set[tuple[Stage, str]]:
    return {(attempt.stage, pod) for pod in attempt.pods.values()}


def _is_of_several(finetune: Mapping[str, Any], attempt: Attempt) -> bool:
    nodes = (finetune["spec"]["run"].get("placement") or {}).get("nodes", 1)
    return attempt.stage == "train" and (nodes > 1 or len(attempt.pods) > 1)


def _is_over(finetune: Mapping[str, Any], stage: Stage) -> bool:
    states = {one["name"]: one.get("state") for one in (finetune.get("status") or {}).get("stages") or []}
    return states.get(stage) in ("Done", "Failed")
