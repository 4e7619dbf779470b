"""The scheduler's words."""

import pytest

from serin.controller.reasons.scheduling import unschedulable

ASKED = {"nvidia.com/gpu": "8", "memory": "64Gi"}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            "0/12 nodes are available: 8 Insufficient nvidia.com/gpu, 4 node(s) had untolerated taint {dedicated: db}. "
            "preemption: 0/12 nodes are available: 12 Preemption is not helpful for scheduling.",
            "of 12 nodes, 8 have too little nvidia.com/gpu free (the pod asks for 8); 4 have a taint that "
            "placement.tolerations does not name {dedicated: db}.",
        ),
        (
            "0/1 nodes are available: 1 Insufficient memory. no new claims to deallocate, preemption: 0/1 nodes are available.",
            "of 1 node, 1 has too little memory free (the pod asks for 64Gi).",
        ),
        (
            "0/3 nodes are available: 1 node(s) were unschedulable, 1 Too many pods, 2 node(s) didn't match Pod's node "
            "affinity/selector.",
            "of 3 nodes, 1 is closed to new pods; 1 has as many pods as they may; 2 do not match placement.nodeSelector.",
        ),
        (
            "0/2 nodes are available: 2 node(s) had volume node affinity conflict.",
            "of 2 nodes, 2 node(s) had volume node affinity conflict.",
        ),
        ("0/0 nodes are available: .", "the cluster has no nodes."),
        ("no nodes available to schedule pods", "no node takes the pod: no nodes available to schedule pods"),
    ],
)
def test_which_resource_is_short_on_how_many_nodes(said: str, expected: str) -> None:
    cause = unschedulable(said, ASKED)
    assert cause.reason == "Unschedulable"
    assert expected in cause.message
    assert "Preemption is not helpful" not in cause.message


def test_a_message_of_ten_thousand_nodes_stays_short() -> None:
    said = (
        "0/9 nodes are available: "
        + ", ".join(f"1 node(s) had untolerated taint {{key{n}: }}" for n in range(900))
        + "."
    )
    assert len(unschedulable(said, {}).message) <= 2000
