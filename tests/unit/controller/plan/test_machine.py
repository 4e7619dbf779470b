"""Whatever happens in whatever order, a controller that lags, dies and comes back makes each Job once, and a run ends."""

import copy
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from serin.controller.actions import ActivateWorkload, ConfirmGone, CreateJob, SuspendJob
from serin.controller.objects import finish_of, has_ended, is_running
from serin.controller.observed import Fault, Observed
from serin.controller.plan import Plan, plan
from serin.core.resources.finetune import FineTuneStatus
from serin.core.task import STAGES, Result, Stage

from ..manifests import START, condition, ended, finetune, last_words, result, running, workload

Cluster = dict[str, dict[str, Any]]
GPUS = 2


class World:
    """A cluster with one FineTune, and the controller that looks at it through a cache that may be old."""

    def __init__(self, queue: bool) -> None:
        self.seconds = 0
        self.uids = 0
        self.pod_count = 0
        self.jobs: Cluster = {}
        self.pods: Cluster = {}
        self.workloads: Cluster = {}
        self.results: dict[Stage, Result] = {}
        self.told_results: dict[Stage, Result] = {}
        self.faults: list[Fault] | None = None
        self.cached: tuple[Cluster, Cluster, Cluster] = ({}, {}, {})
        self.made: dict[str, int] = dict.fromkeys(STAGES, 0)
        self.deleted: dict[str, int] = dict.fromkeys(STAGES, 0)
        self.final: FineTuneStatus | None = None
        gpus = {"gpus": GPUS}
        self.object: dict[str, Any] = finetune(queue="gpu" if queue else None, train=gpus, other=gpus)

    # ------------------------------------------------------------------------------------------ the controller

    def hears(self, kinds: set[str]) -> None:
        """The cache catches up with some kinds and not with others."""
        here = (self.jobs, self.pods, self.workloads)
        names = ("jobs", "pods", "workloads")
        self.cached = tuple(  # type: ignore[assignment]
            copy.deepcopy(now) if name in kinds else old
            for name, now, old in zip(names, here, self.cached, strict=True)
        )
        if "results" in kinds:
            self.told_results = dict(self.results)

    def reconcile(self, dies_after: int | None) -> None:
        """Plan and act; a controller that dies has done only so many actions, and has not written the status."""
        found = self.plan(frozenset())
        for action in found.actions:
            if isinstance(action, ConfirmGone):
                if action.stage not in self.jobs and action.stage not in self.results:
                    found = self.plan(frozenset({action.stage}))
                elif action.stage in self.results:
                    self.told_results[action.stage] = self.results[action.stage]
        for count, action in enumerate(found.actions):
            if count == dies_after:
                return
            self.act(action)
        if dies_after is not None:
            return
        status = found.status.model_dump(mode="json", by_alias=True, exclude_none=True)
        assert FineTuneStatus.model_validate(status) == found.status
        self.object["status"] = status

    def looks_twice(self) -> None:
        """As a controller does that nothing holds up."""
        for _ in range(2):
            self.hears({"jobs", "pods", "workloads", "results"})
            self.reconcile(None)

    def a_stage_comes_to_a_good_end(self, passed: bool) -> None:
        self.kueue_admits()
        self.a_pod_starts()
        self.a_pod_succeeds(False, passed)

    def plan(self, gone: frozenset[Stage]) -> Plan:
        jobs, pods, workloads = self.cached
        by_stage: dict[Any, list[Any]] = {}
        for pod in pods.values():
            by_stage.setdefault(pod["metadata"]["labels"]["serin.dev/stage"], []).append(pod)
        seen = Observed(
            jobs=jobs,  # type: ignore[arg-type]
            pods=by_stage,
            workloads=workloads,  # type: ignore[arg-type]
            results=self.told_results,
            faults=self.faults,
            gone=gone,
        )
        return plan(self.object, seen, START + timedelta(seconds=self.seconds))

    def act(self, action: object) -> None:
        match action:
            case CreateJob(stage=stage, body=body):
                if stage in self.jobs:
                    return  # its name is taken, by itself
                assert not self.over, "a Job after the end"
                assert stage not in self.results, "a Job of a stage that is done"
                assert not [job for job in self.jobs.values() if not finish_of(job)], "two Jobs at a time"
                assert not [pod for pod in self.pods_of(stage) if is_running(pod)], "two trainers at a time"
                assert self.known(stage).get("remade", 0) == 0, "a third Job"
                self.uids += 1
                self.made[stage] += 1
                body = copy.deepcopy(dict(body))
                body["metadata"] |= {"uid": f"job-{self.uids}"}
                self.jobs[stage] = body | {"status": {"conditions": []}}
                if self.queued:
                    body["spec"]["suspend"] = True
                    self.workloads[stage] = workload()
            case SuspendJob(stage=stage, suspend=suspend):
                assert not self.queued, "suspend is Kueue's"
                if stage in self.jobs:
                    self.jobs[stage]["spec"]["suspend"] = suspend
                    if suspend:
                        self.end_pods(stage, vanish=True)
            case ActivateWorkload(stage=stage, active=active, patch=patch):
                if stage in self.workloads:
                    annotations = self.workloads[stage]["metadata"]["annotations"] | patch["metadata"]["annotations"]
                    kept = {key: value for key, value in annotations.items() if value is not None}
                    self.workloads[stage]["metadata"]["annotations"] = kept
                    self.workloads[stage]["spec"]["active"] = active
                    if not active:
                        self.evict(stage, "Deactivated", vanish=True)

    # ------------------------------------------------------------------------------------------ the cluster

    def time_passes(self, seconds: int) -> None:
        self.seconds += seconds

    def inputs_are_checked(self, there: bool) -> None:
        self.faults = [] if there else [Fault("DatasetMissing", "it is not there")]

    def user_suspends_or_resumes(self, suspend: bool) -> None:
        self.object["spec"]["suspend"] = suspend
        self.object["metadata"]["generation"] += 1

    def kueue_admits(self) -> None:
        for stage, found in self.workloads.items():
            if found["spec"]["active"] and stage in self.jobs and not finish_of(self.jobs[stage]):
                found["status"]["conditions"] = [condition("Admitted", "Admitted", seconds=self.seconds)]
                self.jobs[stage]["spec"]["suspend"] = False

    def kueue_preempts(self, vanish: bool) -> None:
        for stage in self.workloads:
            self.evict(stage, "Preempted", vanish)

    def a_pod_starts(self) -> None:
        for stage, job in self.jobs.items():
            idle = not any(is_running(pod) for pod in self.pods_of(stage))
            if idle and not job["spec"].get("suspend") and not finish_of(job):
                self.pod_count += 1
                self.put(stage, running(f"{stage}-{self.pod_count}", started=self.seconds))

    def a_pod_fails(self, code: int, vanish: bool) -> None:
        for stage in self.jobs:
            self.end_pods(stage, vanish, code)

    def a_result_is_written_while_its_pod_still_runs(self, passed: bool) -> None:
        self.kueue_admits()
        self.a_pod_starts()
        for stage, job in self.jobs.items():
            if not finish_of(job) and any(is_running(pod) for pod in self.pods_of(stage)):
                self.results.setdefault(stage, result(stage, passed=passed, missed=["x"]))  # type: ignore[arg-type]

    def a_pod_succeeds(self, leaves_words: bool, passed: bool) -> None:
        for stage, job in self.jobs.items():
            if not finish_of(job) and any(is_running(pod) for pod in self.pods_of(stage)):  # type: ignore[arg-type]
                done = self.results.setdefault(stage, result(stage, passed=passed, missed=["x"] * 40))  # type: ignore[arg-type]
                self.end_pods(stage, False, 0, last_words(0, "done", result=done) if leaves_words else "")
                job["status"]["conditions"] = [condition("Complete", seconds=self.seconds)]

    def a_job_fails(self, reason: str) -> None:
        for stage, job in self.jobs.items():
            if not finish_of(job):
                self.end_pods(stage, False, 1)
                job["status"]["conditions"] = [condition("Failed", reason, "it failed", seconds=self.seconds)]

    def someone_deletes_a_job(self, stage: Stage) -> None:
        if stage in self.jobs:
            self.deleted[stage] += 1
            self.remove(stage)

    def the_ttl_removes_jobs(self) -> None:
        for stage in [stage for stage, job in self.jobs.items() if (end := finish_of(job)) and end[0] == "complete"]:
            self.remove(stage)

    # ------------------------------------------------------------------------------------------ what has to hold

    def holds(self) -> None:
        for stage in STAGES:
            assert self.made[stage] <= 1 + self.deleted[stage], "made again though nobody deleted it"
        now = FineTuneStatus.model_validate(self.object.get("status") or {})
        assert now.gpu_seconds <= GPUS * self.seconds, "more than the GPUs there were"
        for known in now.stages:
            pods = [attempt.pod for attempt in known.attempts]
            assert len(pods) == len(set(pods)), "a pod counts twice"
        if self.final is None:
            self.final = now if self.over else None
            return
        kept = {"phase", "exit_code", "passed", "revision", "missed"}
        assert now.model_dump(include=kept) == self.final.model_dump(include=kept), "the end is no end"
        ends = [[(each.type, each.status, each.reason) for each in status.conditions] for status in (now, self.final)]
        assert ends[0] == ends[1], "the end is no end"

    def is_left_alone(self) -> None:
        """Left alone, every run ends."""
        self.user_suspends_or_resumes(False)
        self.faults = []
        for found in self.workloads.values():  # what a person stopped, a person starts
            found["spec"]["active"] = True
        for _ in range(60):
            if self.over:
                break
            self.kueue_admits()
            self.a_pod_starts()
            self.hears({"jobs", "pods", "workloads", "results"})
            self.reconcile(None)
            self.seconds += 100
            self.a_pod_succeeds(False, True)
        assert self.over, self.object.get("status")

    # ------------------------------------------------------------------------------------------ parts

    @property
    def over(self) -> bool:
        return (self.object.get("status") or {}).get("phase") in ("Succeeded", "Failed")

    @property
    def queued(self) -> bool:
        return self.object["spec"]["run"]["placement"]["queue"] is not None

    def known(self, stage: str) -> dict[str, Any]:
        stages = (self.object.get("status") or {}).get("stages", [])
        return next((each for each in stages if each["name"] == stage), {})

    def pods_of(self, stage: str) -> Iterator[dict[str, Any]]:
        return (pod for pod in self.pods.values() if pod["metadata"]["labels"]["serin.dev/stage"] == stage)

    def put(self, stage: str, pod: dict[str, Any]) -> None:
        pod["metadata"]["labels"] = {"serin.dev/stage": stage}
        self.pods[pod["metadata"]["name"]] = pod

    def end_pods(self, stage: str, vanish: bool, code: int = 75, message: str = "") -> None:
        for pod in [pod for pod in self.pods_of(stage) if not has_ended(pod)]:
            name = pod["metadata"]["name"]
            started = pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
            if vanish:
                del self.pods[name]
            else:
                over = ended(code, name, 0, self.seconds, message)
                over["status"]["containerStatuses"][0]["state"]["terminated"]["startedAt"] = started
                self.put(stage, over)

    def evict(self, stage: str, reason: str, vanish: bool) -> None:
        if stage in self.jobs and not finish_of(self.jobs[stage]):
            self.workloads[stage]["status"]["conditions"] = [
                condition("Evicted", reason, "quota", seconds=self.seconds)
            ]
            self.jobs[stage]["spec"]["suspend"] = True
            self.end_pods(stage, vanish)

    def remove(self, stage: str) -> None:
        del self.jobs[stage]
        self.workloads.pop(stage, None)
        for pod in list(self.pods_of(stage)):
            del self.pods[pod["metadata"]["name"]]


EVENTS: list[tuple[str, dict[str, Any]]] = [
    *[("looks_twice", {})] * 6,
    *[("hears", {"kinds": {kind}}) for kind in ("jobs", "pods", "workloads", "results")],
    *[("reconcile", {"dies_after": count}) for count in (None, None, 0, 1)],
    *[("time_passes", {"seconds": seconds}) for seconds in (1, 70, 500)],
    ("inputs_are_checked", {"there": True}),
    *[("user_suspends_or_resumes", {"suspend": suspend}) for suspend in (True, False)],
    *[("kueue_admits", {})] * 3,
    *[("kueue_preempts", {"vanish": vanish}) for vanish in (True, False)],
    *[("a_pod_starts", {})] * 3,
    *[("a_pod_fails", {"code": code, "vanish": code == 75}) for code in (1, 75, 137)],
    *[("a_result_is_written_while_its_pod_still_runs", {"passed": True})] * 2,
    *[("a_pod_succeeds", {"leaves_words": words, "passed": True}) for words in (True, False)],
    *[("a_stage_comes_to_a_good_end", {"passed": passed}) for passed in (True, True, True, False)],
    *[("a_job_fails", {"reason": reason}) for reason in ("BackoffLimitExceeded", "DeadlineExceeded")],
    *[("someone_deletes_a_job", {"stage": stage}) for stage in ("train", "merge")],
    ("the_ttl_removes_jobs", {}),
]
"""What may happen; what stands here more often happens more often."""


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    queue=st.booleans(),
    inputs=st.sampled_from(["there", "there", "there", "missing", "unknown"]),
    events=st.lists(st.sampled_from(EVENTS), min_size=25, max_size=60),
)
def test_whatever_happens_in_whatever_order(queue: bool, inputs: str, events: list[tuple[str, dict[str, Any]]]) -> None:
    world = World(queue)
    if inputs != "unknown":
        world.inputs_are_checked(inputs == "there")
        world.looks_twice()
    for name, details in events:
        getattr(world, name)(**details)
        world.holds()
    world.is_left_alone()
    world.holds()
