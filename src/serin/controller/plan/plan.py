"""``plan``: stages in their order, one Job at a time, each made once; what is done stays done, and what is over stays over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from serin.clients.kubernetes.events import Event
from serin.controller.accounting import next_step_s
from serin.controller.actions import Action, ConfirmGone, CreateJob, JobKind
from serin.controller.jobs import inputs_of, job_name, render
from serin.controller.jobs.names import NO_UID, is_owned_by
from serin.controller.objects import finish_of, is_running
from serin.controller.observed import Fault, Observed
from serin.controller.plan.acceptance import read_spec, read_status
from serin.controller.plan.conditions import Conditions
from serin.controller.plan.figures import counted, figures
from serin.controller.plan.results import result_of
from serin.controller.plan.stage import Due, Standing, seen, standing
from serin.controller.reasons.cause import Cause, shortened
from serin.controller.times import written
from serin.core.resources.finetune import FineTuneSpec, FineTuneStatus, Phase, StageState, StageStatus
from serin.core.task import Result, Stage

CHECK_AGAIN_S = 10.0
_PHASES: dict[StageState, Phase] = {
    "Waiting": "Pending",
    "Queued": "Queued",
    "Running": "Running",
    "Suspended": "Suspended",
    "Done": "Running",
    "Failed": "Failed",
}
_MISSED = 32


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, in this order: the actions, the status, the events."""

    actions: Sequence[Action]
    status: FineTuneStatus
    """The whole of it; equal to what the object has where nothing changed."""
    events: Sequence[Event] = ()
    again_s: float | None = None
    """When the time alone may change the plan; None: never."""


def plan(finetune: Mapping[str, Any], observed: Observed, now: datetime) -> Plan:
    """Decide what is to be done about a FineTune, from nothing but what is there now.

    Args:
        finetune: the object, with its status as it was written last: the only memory that there is.
        observed: what was seen of its children and in storage.
        now: the time. It dates what is noticed, and only that: the same arguments a moment later give the same status.
    """
    before = read_status(finetune)
    if finetune["metadata"].get("deletionTimestamp"):
        return Plan((), before)  # the garbage collector removes the rest
    return _Planner(finetune, before, observed, now).plan()


class _Planner:
    """One plan while it is made."""

    def __init__(self, finetune: Mapping[str, Any], before: FineTuneStatus, observed: Observed, now: datetime) -> None:
        self.finetune = finetune
        self.before = before
        self.observed = observed
        self.now = now
        metadata = finetune["metadata"]
        self.name, self.uid = str(metadata["name"]), str(metadata.get("uid", NO_UID))
        self.generation = int(metadata.get("generation", 0))
        self.conditions = Conditions(before.conditions, self.generation, now)
        self.stages: list[StageStatus] = []
        self.events: list[Event] = []
        self.fields: dict[str, Any] = {}
        self.again_s: list[float] = []

    def plan(self) -> Plan:
        spec, faults = read_spec(self.finetune)
        if self.before.phase in ("Succeeded", "Failed"):
            return self._settled(spec)
        if spec is None or faults:
            return self._refused(faults)
        self.stages = [counted(spec, self.before.of_stage(stage), self.observed, self.now) for stage in spec.run.stages]
        for index, known in enumerate(self.stages):
            if known.state != "Done":
                result = self._result(known.name)
                if result is None:
                    return self._due(spec, index)
                self._finish(index, result)
            if known.name == "evaluate" and self._passed() is False and "publish" in spec.run.stages:
                return self._failed(index, Cause("GateSaidNo", self._verdict(), 3), keep=True)
        return self._succeeded()

    def _settled(self, spec: FineTuneSpec | None) -> Plan:
        """It is over. Only attempts that had not ended then still may."""
        known = list(self.before.stages)
        if spec is not None and any(each.finished is None for stage in known for each in stage.attempts):
            self.stages = [counted(spec, stage, self.observed, self.now) for stage in known]
        else:
            self.stages = known
        return self._made(self.before.phase, None)

    def _refused(self, faults: Sequence[Fault]) -> Plan:
        message = shortened("\n".join(fault.message for fault in faults))
        self.stages = self.stages or list(self.before.stages)
        self.conditions.set("Accepted", "False", faults[0].reason, message)
        return self._over(Cause(faults[0].reason, message, 78), self.before.stage)

    def _due(self, spec: FineTuneSpec, index: int) -> Plan:
        """The first stage that is not done."""
        known = self.stages[index]
        job = self.observed.jobs.get(known.name)
        is_ours = job is not None and is_owned_by(job, self.uid)
        self.conditions.tell_storage(self.observed.unanswered)
        if not self._accept(is_ours or known.job_uid is not None or index > 0):
            if self.observed.faults:
                return self._refused(self.observed.faults)
            waits = Cause("Checking", "the inputs are being checked before a GPU is taken")
            return self._stands(
                index, Standing("Suspended" if spec.suspend else "Waiting", waits, again_s=CHECK_AGAIN_S)
            )
        fresh = seen(known, job, self.uid)
        if fresh.job_uid != known.job_uid:
            again = " again" if fresh.remade > known.remade else ""
            self.events.append(Event("Normal", "JobCreated", f"{known.name} runs in {fresh.job}{again}"))
        self.stages[index] = fresh
        placement = spec.run.placement
        kind: JobKind = "JobSet" if known.name == "train" and placement.nodes > 1 else "Job"
        found = standing(
            Due(
                stage=known.name,
                known=fresh,
                kind=kind,
                name=job_name(self.name, self.uid, known.name),
                uid=self.uid,
                placement=placement,
                suspend=spec.suspend,
                was_suspended=self.before.phase == "Suspended",
                observed=self.observed,
                now=self.now,
            )
        )
        if any(isinstance(action, ConfirmGone) for action in found.actions):
            return Plan(found.actions, self.before)  # nothing is known until the answer is there
        if found.failed:
            return self._failed(index, found.failed)
        refused = self.observed.refused.get(known.name) if found.create else None
        if refused:
            found = replace(found, running=Cause(refused.reason, refused.message))
        outs: dict[Stage, str] = {stage.name: stage.out for stage in self.stages if stage.out is not None}
        creates = (
            [CreateJob(known.name, render(self.finetune, known.name, inputs_of(spec.run, known.name, outs)))]
            if found.create
            else []
        )
        self._tell_queue(spec, found)
        return self._stands(index, found, creates)

    def _accept(self, begun: bool) -> bool:
        """Whether the inputs are there. What has begun has been accepted, and is not asked again."""
        if self.conditions.is_true("Accepted"):
            return True
        faults = self.observed.faults
        if begun or (faults is not None and not faults):
            self.conditions.set("Accepted", "True", "InputsFound", "the inputs are there")
            return True
        if faults is None and self.observed.unanswered:
            self.conditions.set("Accepted", "Unknown", "NoAnswer", self.observed.unanswered)
        elif faults is None and self.conditions.get("Accepted") is None:
            self.conditions.set("Accepted", "Unknown", "Checking", "the inputs are being checked")
        return False

    def _tell_queue(self, spec: FineTuneSpec, found: Standing) -> None:
        if spec.run.placement.queue is not None:
            if found.admitted:
                self.conditions.set("Admitted", "False", found.admitted.reason, found.admitted.message)
            elif found.state in ("Running", "Waiting") and not found.create:
                self.conditions.set("Admitted", "True", "Admitted", "Kueue reserved its quota")
        if found.disrupted:
            self.conditions.set("Preempted", "True", found.disrupted.reason, found.disrupted.message)
        elif found.running is None:
            self._went_on()

    def _went_on(self) -> None:
        """Seen at work again, or only its result: a controller that was away meanwhile ends with the same words."""
        if self.conditions.is_true("Preempted"):
            self.conditions.set("Preempted", "False", "Resumed", "it went on")

    def _stands(self, index: int, found: Standing, creates: Sequence[Action] = ()) -> Plan:
        known = self.stages[index]
        self.stages[index] = known.model_copy(update={"state": found.state})
        if found.running is None:
            self.conditions.set("Running", "True", "Running", f"{known.name} runs")
        else:
            status = "True" if found.state == "Running" else "False"
            self.conditions.set(
                "Running", "True" if status == "True" else "False", found.running.reason, found.running.message
            )
        if self.observed.progress is not None or found.state != "Running" or self.before.stage != known.name:
            # What was told of this stage before stands until its progress is read again, by a new controller too.
            self.fields |= figures(self.observed.progress, found.state)
        if found.again_s is not None:
            self.again_s.append(found.again_s)
        return self._made(_PHASES[found.state], known.name, [*creates, *found.actions])

    def _finish(self, index: int, result: Result) -> None:
        known = self.stages[index]
        job = self.observed.jobs.get(known.name)
        job = job if job is not None and is_owned_by(job, self.uid) else None
        ended = (finish_of(job) or (None, {}))[1].get("lastTransitionTime") if job else None
        last = max((attempt.finished for attempt in known.attempts if attempt.finished), default=None)
        self.stages[index] = seen(known, job, self.uid).model_copy(
            update={
                "state": "Done",
                "out": result.out,
                "digest": result.digest,
                "finished": known.finished or last or ended or written(self.now),
            }
        )
        self.events.append(Event("Normal", "StageDone", f"{known.name} is done: {result.out}"))
        if known.name == "evaluate" and result.passed is not None:
            self.fields |= {"passed": result.passed, "missed": [shortened(each) for each in result.missed[:_MISSED]]}
            if result.passed:
                self.conditions.set("GatePassed", "True", "GateSaidYes", "every rule holds")
            else:
                self.conditions.set("GatePassed", "False", "GateSaidNo", self._verdict())
        if known.name == "publish":
            self.fields["revision"] = result.revision
        self._went_on()

    def _passed(self) -> bool | None:
        found: bool | None = self.fields.get("passed", self.before.passed)
        return found

    def _verdict(self) -> str:
        missed = self.fields.get("missed", self.before.missed)
        return shortened("the gate said no: " + ("; ".join(missed) or "no rule is named"))

    def _result(self, stage: Stage) -> Result | None:
        """A stage's result, once its Job holds nothing any more: two never take their quota at the same time."""
        pods, job = self.observed.pods.get(stage, ()), self.observed.jobs.get(stage)
        lives = job is not None and is_owned_by(job, self.uid) and finish_of(job) is None
        if lives or any(is_running(pod) for pod in pods):
            return None
        return self.observed.results.get(stage) or result_of(stage, pods)

    def _failed(self, index: int, cause: Cause, keep: bool = False) -> Plan:
        """The run is over with this stage; ``keep``: the stage itself is done."""
        known = self.stages[index]
        if not keep:
            last = max((attempt.finished for attempt in known.attempts if attempt.finished), default=None)
            self.stages[index] = known.model_copy(update={"state": "Failed", "finished": last or written(self.now)})
        if cause.reason == "GateSaidNo":
            self.conditions.set("GatePassed", "False", "GateSaidNo", cause.message)
        return self._over(cause, known.name)

    def _over(self, cause: Cause, stage: Stage | None) -> Plan:
        self.conditions.set("Running", "False", "Failed", "it is over")
        if self.conditions.is_true("Preempted"):
            self.conditions.set("Preempted", "False", cause.reason, "it will not go on")
        self.conditions.leave_storage()
        self.conditions.set("Succeeded", "False", cause.reason, cause.message)
        self.conditions.set("Failed", "True", cause.reason, cause.message)
        self.fields |= {"exit_code": cause.exit_code or 1, "tokens_per_s": None, "seconds_left": None}
        return self._made("Failed", stage)

    def _succeeded(self) -> Plan:
        self.conditions.set("Running", "False", "Done", "all stages are done")
        self.conditions.leave_storage()
        revision = self.fields.get("revision", self.before.revision)
        done = f"{revision} can be deployed" if revision else "all stages are done"
        self.conditions.set("Succeeded", "True", "Done", done)
        self.fields |= {"exit_code": 0, "tokens_per_s": None, "seconds_left": None}
        return self._made("Succeeded", self.stages[-1].name)

    def _made(self, phase: Phase, stage: Stage | None, actions: Sequence[Action] = ()) -> Plan:
        stage = stage or self.before.stage
        job = next((each.job for each in self.stages if each.name == stage and each.job), self.before.job)
        status = self.before.model_copy(
            update={
                **self.fields,
                "observed_generation": self.generation,
                "phase": phase,
                "stage": stage,
                "job": job,
                "stages": self.stages,
                "gpu_seconds": sum(each.gpu_seconds for each in self.stages),
                "conditions": self.conditions.listed(),
            }
        )
        steps = [step for each in self.stages if (step := next_step_s(each.attempts, self.now)) is not None]
        again_s = min([*self.again_s, *steps], default=None)
        return Plan(tuple(actions), status, (*self.events, *self.conditions.events()), again_s)
