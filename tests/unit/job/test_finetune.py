import pytest

from serin.core.errors import ConfigError, UsageError
from serin.core.params import Params, parse_params
from serin.core.resources.finetune import FineTuneSpec
from serin.job.finetune import check_stages, content_name, finetune_of, is_same_run, run_of, words_needed

BASE, DATASET, ADAPTER = (f"{digit * 32}.dir" for digit in "abc")
INPUTS = {"base": BASE, "dataset": DATASET}
VALUES = {
    "storage": {"url": "s3://serin/law"},
    "merge": {"name": "law-qa"},
    "kubernetes": {"image": "registry.example/train:1"},
}


def params(**sections: object) -> Params:
    return parse_params(VALUES | sections, "params.yaml")


def name_of(given: Params, stages: tuple[str, ...] = ("train",), **inputs: str) -> str:
    return content_name(run_of(given, check_stages(stages), INPUTS | inputs))


def test_the_object_means_what_the_params_mean() -> None:
    given = params(
        train={"learning_rate": 1e-4, "lora": {"r": 4}},
        evaluate={"article_pattern": None, "rules": [{"metric": "token_f1", "over": "base", "above": 0.1}]},
        kubernetes={"image": "i:1", "queue": "gpus", "node_selector": {"gpu": "l4"}, "namespace": "team"},
    )
    body = finetune_of(run_of(given, check_stages(["train"]), INPUTS), "law", "team")
    run = FineTuneSpec.model_validate(body["spec"]).run
    assert (run.params.evaluate, run.params.merge) == (given.evaluate, given.merge)
    assert (run.params.train.learning_rate, run.params.train.lora.r) == (1e-4, 4)
    assert (run.placement.queue, run.placement.node_selector) == ("gpus", {"gpu": "l4"})
    assert body["metadata"] == {"name": "law", "namespace": "team"}


def test_a_manifest_has_kubernetes_own_names_outside_of_params() -> None:
    body = finetune_of(run_of(params(), check_stages(["train"]), INPUTS), "law", None)
    placement = body["spec"]["run"]["placement"]
    assert placement["serviceAccount"] == "serin-run"
    assert placement["train"]["sharedMemory"] == "2Gi"
    assert "learning_rate" in body["spec"]["run"]["params"]["train"]


def test_null_stands_only_where_it_switches_a_default_off() -> None:
    given = params(evaluate={"article_pattern": None, "rules": [{"metric": "token_f1", "over": "base", "above": 0.1}]})
    sections = finetune_of(run_of(given, check_stages(["train"]), INPUTS), "law", None)["spec"]["run"]["params"]
    assert sections["evaluate"]["article_pattern"] is None
    assert "endpoint_url" not in sections["storage"]
    assert "below" not in sections["evaluate"]["rules"][0]


@pytest.mark.parametrize(
    ("changed", "names_differ"),
    [
        ({"train": {"learning_rate": 1e-5}}, True),
        ({"kubernetes": {"image": "registry.example/train:2"}}, True),
        ({"merge": {"name": "law-qb"}}, True),
        ({"evaluate": {"max_new_tokens": 7}}, False),
        ({"kubernetes": {"image": "registry.example/train:1", "queue": "gpus", "retries": 1}}, False),
        ({"storage": {"url": "s3://serin/law", "timeout_s": 9}}, False),
    ],
)
def test_a_run_of_train_has_another_name_where_something_else_is_computed(
    changed: dict[str, object], names_differ: bool
) -> None:
    assert (name_of(params(**changed)) != name_of(params())) == names_differ


def test_other_inputs_give_another_name() -> None:
    assert name_of(params(), dataset=ADAPTER) != name_of(params())


def test_the_name_says_model_and_stage_and_fits() -> None:
    assert name_of(params()).startswith("law-qa-train-")
    assert name_of(params(), ("train", "merge")).count("-") == 2
    long = params(merge={"name": "a" * 31 + "-" + "b" * 8})
    assert len(name_of(long, ("evaluate",), merged=ADAPTER)) <= 40
    assert "--" not in name_of(params(merge={"name": "a" * 25 + "-" + "b" * 8}), ("train",))


def test_what_trains_on_several_nodes_has_a_name_that_jobset_takes() -> None:
    several = {"image": "registry.example/train:1", "nodes": 2}
    name = name_of(params(merge={"name": "7b" + "a" * 38}, kubernetes=several))
    assert len(name) <= 33
    assert name[0].isalpha()


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"storage": {"url": "folder"}}, "pods reach no folder"), ({"kubernetes": None}, "at least with image")],
)
def test_params_that_no_cluster_can_use_are_refused(changed: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        run_of(params(**changed), check_stages(["train"]), INPUTS)


@pytest.mark.parametrize(
    ("stages", "words"),
    [(["train", "evaluate"], "merge is left out"), (["tarin"], "found tarin"), ([], "found nothing")],
)
def test_stages_with_a_gap_or_of_no_name_are_refused(stages: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_stages(stages)


def test_only_what_no_earlier_stage_makes_has_to_be_given() -> None:
    assert words_needed(check_stages(["publish", "merge", "evaluate", "train"])) == ["base", "dataset"]
    assert words_needed(check_stages(["merge", "evaluate"])) == ["base", "dataset", "adapter"]


def test_a_server_that_fills_in_defaults_has_the_same_run() -> None:
    body = finetune_of(run_of(params(), check_stages(["train"]), INPUTS), "law", None)
    filled = {"spec": {"run": {**body["spec"]["run"], "placement": {"image": "registry.example/train:1"}}}}
    other = {"spec": {"run": {**body["spec"]["run"], "placement": {"image": "registry.example/train:2"}}}}
    assert is_same_run(filled, body)
    assert not is_same_run(other, body)
