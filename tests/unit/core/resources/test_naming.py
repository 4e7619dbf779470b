"""How a FineTune may be called."""

from typing import Any

import pytest

from serin.core.resources.finetune import Run
from serin.core.resources.naming import faults_of_name, longest_name, needs_jobset


def run(nodes: int = 1, **more: Any) -> Run:
    inputs = dict.fromkeys(("base", "dataset", "adapter", "merged", "evaluation"), "0" * 32 + ".dir")
    params = {"storage": {"url": "s3://bucket/serin"}}
    return Run.model_validate({"inputs": inputs, "params": params, "placement": {"image": "i", "nodes": nodes}, **more})


@pytest.mark.parametrize(
    ("found", "longest"),
    [(run(), 40), (run(nodes=2), 33), (run(nodes=2, stages=["merge"]), 40)],
    ids=["one node", "two nodes", "two nodes and no training"],
)
def test_a_name_may_be_shorter_where_jobset_makes_more_of_it(found: Run, longest: int) -> None:
    assert longest_name(found) == longest
    assert needs_jobset(found) is (longest == 33)
    assert faults_of_name("n" * longest, found) == []
    assert f"at most {longest} characters" in faults_of_name("n" * (longest + 1), found)[0]


@pytest.mark.parametrize("name", ["7b", "law.qa", "law-"])
def test_jobset_wants_a_label_that_begins_with_a_letter(name: str) -> None:
    assert faults_of_name(name, run()) == []
    assert "begins with a letter" in faults_of_name(name, run(nodes=2))[0]
