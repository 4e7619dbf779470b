import os
from datetime import UTC, datetime
from typing import Any

import pytest

from serin.core.errors import UsageError
from serin.core.task import attempt_prefix, log_prefix, prefix_of
from serin.job.logs import Logs

from .conftest import Project

JOB = {"apiVersion": "batch/v1", "kind": "Job"}


class Printed:
    """A run of one stage whose attempts print what tests say."""

    def __init__(self, project: Project, *pods: str) -> None:
        self.project = project
        self.finetune = project.submit()
        metadata = self.finetune["metadata"]
        self.prefix = prefix_of("serin", "law", metadata["uid"], "train")
        self.out = b""
        self.pods: dict[str, bytes] = {}
        self.parts: dict[str, int] = {}
        self.report("Running", *pods)

    def report(self, phase: str, *pods: str) -> None:
        attempts = [{"pod": pod, "started": f"2026-03-01T1{n}:00:00Z"} for n, pod in enumerate(pods)]
        state = {"Running": "Running", "Succeeded": "Done"}[phase]
        self.finetune = self.project.report(
            phase=phase, stage="train", stages=[{"name": "train", "state": state, "attempts": attempts}]
        )

    def store(self, pod: str, data: bytes) -> None:
        """One more part of a pod's log in storage."""
        self.parts[pod] = self.parts.get(pod, 0) + 1
        self.project.storage.write(f"{log_prefix(self.prefix, pod)}/{self.parts[pod]:05d}.log", data)

    def end(self, pod: str) -> None:
        """The attempt says that it has ended, and its pod is gone."""
        self.project.storage.write(f"{attempt_prefix(self.prefix, pod)}/ended.json", b"{}")
        self.pods.pop(pod, None)

    def logs(self, *meanwhile: Any) -> Logs:
        return Logs(
            _Cluster(self),  # type: ignore[arg-type] # only what reads
            self.project.storage,
            self.write,
            self.project.told.append,
            self.project.pace(*meanwhile),
        )

    def write(self, data: bytes) -> None:
        self.out += data


class _Cluster:
    """The real client, but for pods: those that a test names, whose log breaks off wherever they are now."""

    def __init__(self, printed: Printed) -> None:
        self._printed = printed
        self.namespace = "serin"

    def get(self, kind: Any, name: str) -> Any:
        if kind.plural != "pods":
            return self._printed.project.cluster.get(kind, name)
        if name not in self._printed.pods:
            return None
        return {"metadata": {"name": name}, "status": {"phase": "Running"}}

    def list(self, kind: Any, labels: Any) -> Any:  # noqa: ARG002 - the client's signature
        made = [{"metadata": {"name": name, "labels": {"serin.dev/stage": "train"}}} for name in self._printed.pods]
        return made, "1"

    def pod_log(self, pod: str, container: str, follow: bool = False) -> Any:  # noqa: ARG002 - the client's signature
        yield self._printed.pods[pod]


def test_the_log_of_a_pod_that_is_gone_comes_from_storage(project: Project) -> None:
    printed = Printed(project, "p1")
    printed.store("p1", b"one\ntw")
    printed.store("p1", b"o\nthree\n")
    printed.end("p1")
    assert printed.logs().show(printed.finetune, None, None)
    assert printed.out == b"one\ntwo\nthree\n"
    assert project.told == ["==> train, attempt 1, p1"]


def test_what_storage_does_not_have_yet_comes_from_the_pod(project: Project) -> None:
    printed = Printed(project, "p1")
    printed.store("p1", b"one\n")
    printed.pods["p1"] = b"one\ntwo\n"
    printed.logs().show(printed.finetune, None, None)
    assert printed.out == b"one\ntwo\n"


def test_nothing_is_shown_where_nothing_has_begun(project: Project) -> None:
    printed = Printed(project)
    assert not printed.logs().show(printed.finetune, None, None)
    assert printed.out == b""


@pytest.mark.parametrize(("wanted", "text"), [("1", b"old\n"), ("p1", b"old\n"), (None, b"new\n")])
def test_an_attempt_is_named_by_number_or_pod(project: Project, wanted: str | None, text: bytes) -> None:
    printed = Printed(project, "p1", "p2")
    printed.store("p1", b"old\n")
    printed.store("p2", b"new\n")
    printed.logs().show(printed.finetune, "train", wanted)
    assert printed.out == text


def test_an_attempt_that_never_was_is_refused_with_those_that_were(project: Project) -> None:
    printed = Printed(project, "p1")
    printed.store("p1", b"old\n")
    with pytest.raises(UsageError, match=r"--attempt 2: train has 1 \(p1\)"):
        printed.logs().show(printed.finetune, "train", "2")


def test_followed_through_pod_storage_and_the_next_attempt_no_line_is_lost_or_doubled(project: Project) -> None:
    printed = Printed(project, "p1")
    printed.store("p1", b"1\n")
    printed.pods["p1"] = b"1\n2\n3\n"

    def goes_on() -> None:  # storage catches up half-way, while the pod goes on
        printed.store("p1", b"2\n")
        printed.pods["p1"] += b"4\n"

    def dies() -> None:  # with a last line that only storage has
        printed.store("p1", b"3\n4\n5\n")
        printed.end("p1")

    def is_replaced() -> None:
        printed.pods["p2"] = b"6\n"
        printed.report("Running", "p1", "p2")

    def ends() -> None:
        printed.store("p2", b"6\n7\n")
        printed.end("p2")
        printed.report("Succeeded", "p1", "p2")

    printed.logs(goes_on, dies, is_replaced, ends).follow(printed.finetune, None, None)
    assert printed.out == b"".join(b"%d\n" % n for n in range(1, 8))
    assert project.told == ["==> train, attempt 1, p1", "==> train, attempt 2, p2"]


def test_older_attempts_are_not_told_by_following(project: Project) -> None:
    printed = Printed(project, "p1", "p2")
    printed.store("p1", b"old\n")
    printed.store("p2", b"new\n")
    printed.end("p2")
    printed.report("Succeeded", "p1", "p2")
    printed.logs().follow(printed.finetune, None, None)
    assert printed.out == b"new\n"


def test_attempts_that_the_status_no_longer_lists_keep_their_numbers(project: Project) -> None:
    printed = Printed(project, "p2")
    printed.store("p1", b"old\n")
    printed.store("p2", b"new\n")
    printed.logs().show(printed.finetune, "train", "1")
    assert printed.out == b"old\n"


def test_attempts_that_nobody_remembers_still_count(project: Project) -> None:
    printed = Printed(project)
    state = {"name": "train", "state": "Running", "attemptsBefore": 3, "attempts": [{"pod": "p4"}]}
    printed.finetune = project.report(phase="Running", stage="train", stages=[state])
    printed.store("p4", b"fourth\n")
    printed.logs().show(printed.finetune, "train", "4")
    assert printed.out == b"fourth\n"


class Together(Printed):
    """A run of two nodes, which has been tried twice."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        job = f"law-train-{self.finetune['metadata']['uid'][:8]}"
        self.named = {f"{attempt}{rank}": f"{job}-run-0-{rank}-{attempt}aaaa" for attempt in "bc" for rank in (0, 1)}
        self.report("Running", self.named["b0"], self.named["c0"])
        for name, pod in self.named.items():
            self.store(pod, b"%s one\n%s two\n" % (name.encode(), name.encode()))
            written = datetime(2026, 3, 1, {"b": 10, "c": 11}[name[0]], tzinfo=UTC).timestamp()
            for path in project.storage.root.rglob(f"{pod}/log/*"):
                os.utime(path, (written, written))


def test_nodes_that_train_together_are_one_attempt_whose_lines_have_their_rank(project: Project) -> None:
    printed = Together(project)
    printed.logs().show(printed.finetune, "train", None)
    assert printed.out == b"[0] c0 one\n[0] c0 two\n[1] c1 one\n[1] c1 two\n"
    assert project.told == [f"==> train, attempt 2, rank 0 {printed.named['c0']}, rank 1 {printed.named['c1']}"]


def test_one_rank_of_one_attempt_is_printed_as_it_is(project: Project) -> None:
    printed = Together(project)
    printed.logs().show(printed.finetune, "train", "1", 1)
    printed.logs().show(printed.finetune, "train", printed.named["c0"])
    assert printed.out == b"b1 one\nb1 two\nc0 one\nc0 two\n"


def test_a_rank_that_never_was_is_refused_with_those_that_were(project: Project) -> None:
    printed = Together(project)
    with pytest.raises(UsageError, match="--rank 2: attempt 2 at train has 0, 1"):
        printed.logs().show(printed.finetune, "train", None, 2)
