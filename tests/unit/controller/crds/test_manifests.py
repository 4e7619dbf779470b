"""What ``kubectl`` shows, and what it takes."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from serin.core.resources.condition import Condition
from serin.core.resources.finetune import Attempt, FineTuneStatus, StageStatus
from serin.core.resources.rollout import MetricStatus, ModelRolloutStatus, Users

from ....cluster.standin.admission import admit, unknown_fields
from .verdicts import CRDS, EXAMPLES, models_refusal, schema, servers_refusal, whole


def _columns(kind: str, priority: int = 0) -> list[str]:
    version = CRDS[kind]["spec"]["versions"][0]
    return [each["name"] for each in version["additionalPrinterColumns"] if each.get("priority", 0) == priority]


def test_kubectl_get_shows_what_a_run_and_a_rollout_are_at() -> None:
    assert _columns("FineTune") == ["Phase", "Step", "Loss", "Queue", "Job", "Age"]
    assert _columns("ModelRollout") == ["Phase", "Weight", "Users", "Age"]


@pytest.mark.parametrize("kind", CRDS)
def test_every_column_points_at_a_field_of_its_type(kind: str) -> None:
    for column in CRDS[kind]["spec"]["versions"][0]["additionalPrinterColumns"]:
        node: Any = schema(kind)
        *names, last = column["jsonPath"].removeprefix(".").split(".")
        if names == ["metadata"]:
            assert (last, column["type"]) == ("creationTimestamp", "date")
            continue
        for name in (*names, last):
            node = node["properties"][name]
        assert node["type"] == column["type"]


def test_both_are_called_as_people_type_them_and_have_a_status_of_their_own() -> None:
    names = {kind: CRDS[kind]["spec"]["names"] for kind in CRDS}
    assert {kind: each["shortNames"] for kind, each in names.items()} == {"FineTune": ["ft"], "ModelRollout": ["mro"]}
    assert all(each["categories"] == ["serin"] for each in names.values())
    assert all(CRDS[kind]["spec"]["versions"][0]["subresources"] == {"status": {}} for kind in CRDS)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_examples_are_taken_and_a_second_apply_changes_nothing(path: Path) -> None:
    body = yaml.safe_load(path.read_text())
    assert servers_refusal(body) is None
    assert models_refusal(body) is None
    stored = admit(CRDS[body["kind"]], body, None)
    assert (
        admit(CRDS[body["kind"]], stored | {"spec": stored["spec"] | body["spec"]}, stored)["metadata"]
        == body["metadata"]
    )
    assert admit(CRDS[body["kind"]], stored, stored) == stored


def test_there_is_an_example_of_the_least_of_everything_of_several_nodes_and_of_a_rollout() -> None:
    runs = {path.stem: yaml.safe_load(path.read_text())["spec"]["run"] for path in EXAMPLES.glob("*.yaml")}
    assert runs["finetune"].keys() == {"inputs", "params", "placement"}
    assert runs["finetune-nodes"]["placement"]["nodes"] > 1
    known = schema("FineTune")["properties"]["spec"]["properties"]["run"]["properties"]["placement"]["properties"]
    assert set(known) - set(runs["finetune-everything"]["placement"]) == {"nodes"}
    assert runs["modelrollout"]["stable"] != runs["modelrollout"]["canary"]


@pytest.mark.parametrize(
    ("name", "nodes", "words"),
    [
        ("a" * 40, 1, None),
        ("a" * 41, 1, "at most 40 characters"),
        ("a" * 33, 2, None),
        ("a" * 34, 2, "at most 33 characters"),
        ("4a", 2, "begins with a letter"),
        ("4a", 1, None),
        ("a.b", 2, "must be a DNS label"),
    ],
)
def test_names_leave_room_for_those_of_jobs_and_pods(name: str, nodes: int, words: str | None) -> None:
    body = whole("FineTune")
    body["metadata"]["name"] = name
    body["spec"]["run"]["stages"] = ["train", "merge"]
    body["spec"]["run"]["placement"]["nodes"] = nodes
    answer = servers_refusal(body)
    assert (answer is None) == (words is None)
    assert (words or "") in (answer or "")


@pytest.mark.parametrize("url", ["/mnt/models", "gs://models/x", "s3://", "s3:///x"])
def test_storage_that_pods_cannot_reach_is_refused(url: str) -> None:
    body = whole("FineTune")
    body["spec"]["run"]["params"]["storage"]["url"] = url
    assert "storage.url" in (servers_refusal(body) or "")
    assert models_refusal(body) is not None


def test_a_spec_is_required_and_so_is_its_run() -> None:
    body = whole("FineTune")
    assert "spec: Required value" in (servers_refusal({key: body[key] for key in body if key != "spec"}) or "")
    assert "spec.run: Required value" in (servers_refusal(body | {"spec": {"suspend": True}}) or "")


CONDITION = Condition(
    type="Failed",
    status="True",
    reason="OOMKilled",
    message="needs 40 GiB",
    last_transition_time="2026-01-02T03:04:05Z",
    observed_generation=3,
)
STATUSES = {
    "FineTune": FineTuneStatus(
        observed_generation=3,
        phase="Failed",
        stage="train",
        job="law-qa-train-01234567",
        step=12,
        steps=100,
        loss=1.5,
        stages=[StageStatus(name="train", attempts=[Attempt(pod="a", gpus=8, exit_code=137, reason="OOMKilled")])],
        gpu_seconds=99.5,
        conditions=[CONDITION],
    ),
    "ModelRollout": ModelRolloutStatus(
        phase="Running",
        weight=0.05,
        step=1,
        steps=4,
        users=Users(stable=312, canary=14),
        metrics=[
            MetricStatus(name="error", stable_bad=3, e_abort=1e300, abort_at=40.0, e_promote=2.5, promote_at=20.0)
        ],
        unproven=["error"],
        conditions=[CONDITION],
    ),
}


@pytest.mark.parametrize("kind", CRDS)
def test_a_status_is_stored_as_it_was_written_and_nothing_is_added(kind: str) -> None:
    status = STATUSES[kind].model_dump(mode="json", by_alias=True, exclude_none=True)
    old = whole(kind)
    body = old | {"status": status}
    assert unknown_fields(CRDS[kind], body) == []
    assert admit(CRDS[kind], body, old)["status"] == status


def test_of_one_condition_there_is_one() -> None:
    body = whole("FineTune") | {
        "status": FineTuneStatus(conditions=[CONDITION, CONDITION]).model_dump(
            mode="json", by_alias=True, exclude_none=True
        )
    }
    assert "Duplicate value" in (servers_refusal(body) or "")
