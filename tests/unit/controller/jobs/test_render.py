"""The Job and the JobSet, as the API server would get them."""

import copy
import json
import re
from typing import Any

import kubernetes_validate
import pytest

from serin.controller.jobs import render
from serin.core.resources.naming import JOBSET_NAME_LENGTH
from serin.core.task import Task

from ..manifests import HASH, IMAGE, UID, finetune
from .jobset_rules import faults_of

INPUTS = {"base": HASH, "dataset": HASH}


def rendered(stage: str = "train", **placement: Any) -> dict[str, Any]:
    return render(finetune(**placement), stage, INPUTS)  # type: ignore[arg-type]


def spec_of(body: dict[str, Any]) -> dict[str, Any]:
    if body["kind"] == "JobSet":
        body = body["spec"]["replicatedJobs"][0]["template"]
    pod: dict[str, Any] = body["spec"]["template"]["spec"]
    return pod


def variables(body: dict[str, Any]) -> dict[str, str | None]:
    return {each["name"]: each.get("value") for each in spec_of(body)["containers"][0]["env"]}


EVERYTHING: dict[str, Any] = {
    "queue": "gpu",
    "imagePullSecrets": ["registry"],
    "secrets": ["s3-credentials", "hub"],
    "priorityClass": "training",
    "nodeSelector": {"gpu": "h200"},
    "tolerations": [{"key": "spot", "operator": "Exists", "effect": "NoSchedule"}],
    "environment": {"NCCL_SOCKET_IFNAME": "eth0", "HOME": "/root", "SERIN_TASK": "{}"},
    "retries": 5,
    "deadlineS": 3600,
    "graceS": 200,
    "keepFinishedS": 60,
}


@pytest.mark.parametrize("stage", ["train", "merge", "evaluate", "publish"])
@pytest.mark.parametrize("placement", [{}, EVERYTHING], ids=["defaults", "everything"])
@pytest.mark.parametrize("version", ["1.33", kubernetes_validate.latest_version()])
def test_kubernetes_own_schema_accepts_every_job(stage: str, placement: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(rendered(stage, **placement), version, strict=True)


def test_the_job_in_a_jobset_is_one_that_kubernetes_accepts() -> None:
    template = copy.deepcopy(rendered(nodes=3, **EVERYTHING)["spec"]["replicatedJobs"][0]["template"])
    kubernetes_validate.validate({"apiVersion": "batch/v1", "kind": "Job", **template}, "1.33", strict=True)


@pytest.mark.parametrize("placement", [{}, EVERYTHING, {"retries": 0}], ids=["defaults", "everything", "no retries"])
@pytest.mark.parametrize("name", ["law-qa", "l" * JOBSET_NAME_LENGTH])
def test_jobset_accepts_every_jobset(placement: dict[str, Any], name: str) -> None:
    body = render(finetune(name=name, nodes=64, **placement), "train", INPUTS)  # type: ignore[arg-type]
    assert faults_of(body) == []


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("failurePolicy", "rules", 0, "name"), "no-hyphens", "rule name"),
        (("failurePolicy", "rules", 0, "name"), "deadline", "not unique"),
        (("failurePolicy", "rules", 0, "action"), "FailJob", "FailJob"),
        (("failurePolicy", "rules", 0, "onJobFailureReasons"), ["OOMKilled"], "reason OOMKilled"),
        (("failurePolicy", "rules", 0, "onFailure"), [], "onFailure"),
        (("failurePolicy", "restartStrategy"), "Always", "Always"),
        (("replicatedJobs", 0, "name"), "x" * 60, "no label"),
        (("ttlSecondsAfterFinished",), -1, "-1"),
    ],
)
def test_those_rules_see_what_jobset_would_refuse(path: tuple[Any, ...], value: Any, words: str) -> None:
    body = copy.deepcopy(rendered(nodes=2))
    place = body["spec"]
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    assert any(words in fault for fault in faults_of(body))


def test_a_jobset_older_than_0_10_refuses_it_by_the_field_that_the_controller_looks_for() -> None:
    body = rendered(nodes=2)
    found = faults_of(body, patterns=False)
    assert found
    assert all("onJobFailureMessagePatterns" in fault for fault in found)


@pytest.mark.parametrize("body", [rendered(), rendered("merge"), rendered(nodes=2)], ids=["train", "merge", "jobset"])
def test_pods_keep_pod_securitys_restricted_profile(body: dict[str, Any]) -> None:
    pod = spec_of(body)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & pod.keys()
    assert all(set(volume) == {"name", "emptyDir"} for volume in pod["volumes"])
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False


def test_all_that_a_pod_writes_lies_on_a_volume_of_bounded_size() -> None:
    body = rendered(train={"scratch": "80Gi", "sharedMemory": "8Gi"})
    pod = spec_of(body)
    mounts = {mount["mountPath"]: mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    sizes = {volume["name"]: volume["emptyDir"]["sizeLimit"] for volume in pod["volumes"]}
    assert {path: sizes[name] for path, name in mounts.items()} == {"/work": "80Gi", "/tmp": "80Gi", "/dev/shm": "8Gi"}
    for name in ("HOME", "HF_HOME", "XDG_CACHE_HOME", "SERIN_RUNS", "TMPDIR"):
        assert str(variables(body)[name]).startswith(("/work/", "/tmp")), name
    assert pod["containers"][0]["workingDir"] == "/work"
    assert next(v for v in pod["volumes"] if v["name"] == "shm")["emptyDir"]["medium"] == "Memory"


def test_a_stage_gets_its_own_resources_and_only_two_of_them_gpus() -> None:
    placement = {
        "train": {"gpus": 4, "memory": "64Gi", "gpuResource": "amd.com/gpu"},
        "other": {"gpus": 1, "memory": "48Gi"},
    }
    train = spec_of(rendered(**placement))
    assert train["containers"][0]["resources"] == {
        "requests": {"cpu": "4", "memory": "64Gi", "ephemeral-storage": "50Gi", "amd.com/gpu": "4"},
        "limits": {"memory": "64Gi", "ephemeral-storage": "50Gi", "amd.com/gpu": "4"},
    }
    assert train["tolerations"] == [{"key": "amd.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert "NVIDIA_VISIBLE_DEVICES" not in variables(rendered(**placement))
    evaluate = spec_of(rendered("evaluate", **placement))["containers"][0]["resources"]
    assert evaluate["limits"] == {"memory": "48Gi", "ephemeral-storage": "50Gi", "nvidia.com/gpu": "1"}
    for stage in ("merge", "publish"):
        body = rendered(stage, **placement)
        assert set(spec_of(body)["containers"][0]["resources"]["limits"]) == {"memory", "ephemeral-storage"}
        assert "tolerations" not in spec_of(body)
        assert variables(body)["NVIDIA_VISIBLE_DEVICES"] == "void"


def test_a_job_counts_what_is_the_programs_fault_and_never_edits_or_doubles_itself() -> None:
    body = rendered(retries=5, deadlineS=3600, keepFinishedS=60, graceS=200)
    assert {key: body["spec"][key] for key in body["spec"] if key not in ("template", "podFailurePolicy")} == {
        "backoffLimit": 5,
        "podReplacementPolicy": "Failed",
        "activeDeadlineSeconds": 3600,
        "ttlSecondsAfterFinished": 60,
    }
    assert spec_of(body)["restartPolicy"] == "Never"
    assert spec_of(body)["terminationGracePeriodSeconds"] == 200
    assert spec_of(body)["containers"][0]["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_the_queue_is_a_label_and_suspend_is_kueues() -> None:
    body = rendered(queue="gpu", deadlineS=3600)
    assert body["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpu"
    assert body["metadata"]["labels"]["kueue.x-k8s.io/max-exec-time-seconds"] == "3600"
    assert "suspend" not in body["spec"]
    assert not [label for label in rendered()["metadata"]["labels"] if "kueue" in label]


def test_secrets_stand_there_by_name_only() -> None:
    body = rendered(**EVERYTHING)
    (container,) = spec_of(body)["containers"]
    assert container["envFrom"] == [{"secretRef": {"name": "s3-credentials"}}, {"secretRef": {"name": "hub"}}]
    assert spec_of(body)["imagePullSecrets"] == [{"name": "registry"}]
    assert "secretKeyRef" not in json.dumps(body)


def test_where_it_may_run_is_the_users_word() -> None:
    pod = spec_of(rendered(**EVERYTHING))
    assert pod["nodeSelector"] == {"gpu": "h200"}
    assert pod["priorityClassName"] == "training"
    assert pod["serviceAccountName"] == "serin-run"
    assert pod["containers"][0]["image"] == IMAGE
    assert pod["tolerations"] == [
        {"key": "spot", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
    ]


def test_variables_of_the_user_pass_through_and_replace_none_of_the_pods_own() -> None:
    found = variables(rendered(**EVERYTHING))
    assert found["NCCL_SOCKET_IFNAME"] == "eth0"
    assert found["HOME"] == "/work/home"
    assert json.loads(str(found["SERIN_TASK"]))["stage"] == "train"
    assert not [name for name in variables(rendered()) if name.startswith("NCCL")]


def test_the_task_reaches_the_pod_as_it_is_although_kubernetes_expands_dollars() -> None:
    body = render(finetune(params={"evaluate": {"article_pattern": r"Art\. (\d+)$$(HOME)$(TMPDIR)"}}), "train", INPUTS)
    text = str(variables(body)["SERIN_TASK"])
    assert "$" not in text
    task = Task.model_validate_json(text)
    assert task.params["evaluate"]["article_pattern"] == r"Art\. (\d+)$$(HOME)$(TMPDIR)"
    assert task.prefix == "runs/team/law-qa-12345678/train"
    assert task.inputs == INPUTS


@pytest.mark.parametrize(("pods", "trainers"), [(30, 23), (120, 90), (3600, 2700)])
def test_the_trainers_grace_ends_before_the_pods(pods: int, trainers: int) -> None:
    body = render(finetune(graceS=pods, params={"runs": {"checkpoints": {"grace_s": 9999}}}), "train", INPUTS)
    task = Task.model_validate_json(str(variables(body)["SERIN_TASK"]))
    assert task.params["runs"]["checkpoints"]["grace_s"] == trainers


def test_the_pod_knows_its_own_name() -> None:
    env = spec_of(rendered())["containers"][0]["env"]
    assert (
        next(each for each in env if each["name"] == "SERIN_POD")["valueFrom"]["fieldRef"]["fieldPath"]
        == "metadata.name"
    )


def test_children_are_named_labelled_and_owned() -> None:
    body = rendered("evaluate")
    labels = {
        "app.kubernetes.io/managed-by": "serin",
        "serin.dev/finetune": "law-qa",
        "serin.dev/finetune-uid": UID,
        "serin.dev/stage": "evaluate",
    }
    assert body["metadata"]["name"] == "law-qa-evaluate-12345678"
    assert body["metadata"]["namespace"] == "team"
    assert body["metadata"]["labels"] == labels
    assert body["spec"]["template"]["metadata"]["labels"] == labels
    (owner,) = body["metadata"]["ownerReferences"]
    assert owner == {
        "apiVersion": "serin.dev/v1alpha1",
        "kind": "FineTune",
        "name": "law-qa",
        "uid": UID,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def test_the_same_run_is_the_same_object_and_another_has_another_hash() -> None:
    one, same, other = rendered(), rendered(), rendered(retries=1)
    assert one == same
    assert one["metadata"]["name"] == other["metadata"]["name"]
    hashes = {body["metadata"]["annotations"]["serin.dev/spec-hash"] for body in (one, other)}
    assert len(hashes) == 2


def test_an_object_that_is_not_created_yet_can_be_rendered() -> None:
    unborn = finetune()
    del unborn["metadata"]["uid"]
    assert render(unborn, "train", INPUTS)["metadata"]["name"] == "law-qa-train-00000000"


def test_several_nodes_are_one_indexed_job_that_starts_again_as_a_whole() -> None:
    body = rendered(nodes=4, retries=2, train={"gpus": 8}, queue="gpu")
    assert (body["apiVersion"], body["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
    assert body["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpu"
    assert body["spec"]["network"]["enableDNSHostnames"] is True
    assert body["spec"]["failurePolicy"]["maxRestarts"] == 2
    assert body["spec"]["failurePolicy"]["restartStrategy"] == "BlockingRecreate"
    (replicated,) = body["spec"]["replicatedJobs"]
    child = replicated["template"]["spec"]
    assert (child["completionMode"], child["completions"], child["parallelism"]) == ("Indexed", 4, 4)
    assert child["backoffLimit"] == 0
    assert child["podReplacementPolicy"] == "Failed"
    assert replicated["template"]["metadata"]["labels"]["serin.dev/finetune-uid"] == UID
    task = Task.model_validate_json(str(variables(body)["SERIN_TASK"]))
    assert (task.nodes, task.processes) == (4, 8)


def test_the_processes_meet_at_the_name_that_jobset_gives_to_the_first_pod() -> None:
    body = rendered(nodes=2)
    jobset, job = body["metadata"]["name"], body["spec"]["replicatedJobs"][0]["name"]
    assert variables(body)["MASTER_ADDR"] == f"{jobset}-{job}-0-0.{jobset}"
    assert str(variables(body)["MASTER_PORT"]).isdecimal()
    assert "MASTER_ADDR" not in variables(rendered())


def test_names_of_a_jobsets_pods_fit_into_a_dns_label() -> None:
    body = render(finetune(name="n" * 33, nodes=64), "train", INPUTS)
    longest = f"{body['metadata']['name']}-run-0-63-abcde"
    assert len(longest) == 63
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", longest)


def test_only_training_takes_several_nodes() -> None:
    assert rendered("merge", nodes=4)["kind"] == "Job"
    task = Task.model_validate_json(str(variables(rendered("evaluate", nodes=4))["SERIN_TASK"]))
    assert (task.nodes, task.processes) == (1, 1)
