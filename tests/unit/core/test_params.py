import pytest
import yaml

from serin.core.errors import ParamsError
from serin.core.params import KubernetesParams, Params, ResourceParams, parse_params
from serin.core.params.section import Section


def test_every_fault_is_reported_at_once_with_path_value_and_rule() -> None:
    with pytest.raises(ParamsError) as caught:
        parse_params({"train": {"lora": {"r": 0}, "nope": 1}, "merge": {"name": "Law QA"}}, "params.yaml")
    message = str(caught.value)
    assert caught.value.exit_code == 78
    assert "3 faults" in message
    assert "train.lora.r = 0: Input should be greater than or equal to 1" in message
    assert "train.nope = 1: no such param" in message
    assert "merge.name = 'Law QA'" in message


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"rollout": {"steps": [0.5, 0.25, 1.0]}}, "steps must rise"),
        ({"prepare": {"split": {"test": 0.5, "validation": 0.5}}}, "below 1"),
        ({"prepare": {"max_tokens": 500}, "train": {"max_tokens": 256}}, "must not be above train.max_tokens"),
        ({"prepare": {"sources": [{"path": "a", "format": "columns"}]}}, "go together"),
        (
            {"prepare": {"sources": [{"path": "a", "format": "columns", "columns": {"user": "q"}}]}},
            "user and assistant",
        ),
        ({"prepare": {"sources": [{"path": p, "weight": 0.6} for p in "ab"]}}, "add up to 1.2"),
        ({"prepare": {"augment": {"paraphrases": 1}}}, "need endpoint.url"),
        ({"prepare": {"sensitive_words": {"judge": True}}}, "need endpoint.url"),
        ({"prepare": {"languages": {"detect": ["en"]}}}, "two languages"),
        ({"train": {"method": "full", "start_from": "adapter"}}, "method: full has none"),
        (
            {"evaluate": {"rules": [{"metric": "right_article", "above": 0.5}], "article_pattern": None}},
            "needs an article_pattern",
        ),
        ({"evaluate": {"rules": [{"metric": "token_f1"}]}}, "needs either above or below"),
        ({"evaluate": {"judge": {"questions": 5}}}, "needs judge.endpoint.url"),
        ({"evaluate": {"against": "law-qa@3f9a1c20"}}, "should match pattern"),
        ({"base": {"model": "owner/name", "revision": "main"}}, "base.revision = 'main'"),
        ({"executor": "kubernetes", "storage": {"url": "s3://models/x"}}, "kubernetes: missing"),
        ({"executor": "kubernetes", "kubernetes": {"image": "serin"}}, "storage.url = '.serin/storage': must be s3://"),
        ({"kubernetes": {"image": "two words"}}, "kubernetes.image = 'two words'"),
        ({"kubernetes": {"image": "serin", "queue": "Team A"}}, "kubernetes.queue = 'Team A'"),
        ({"kubernetes": {"image": "serin", "environment": {"A-B": "1"}}}, "kubernetes.environment"),
        ({"kubernetes": {"image": "serin", "node_selector": {"a b": "1"}}}, "kubernetes.node_selector"),
        (
            {"kubernetes": {"image": "serin", "tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}},
            "compares no",
        ),
        ({"kubernetes": {"image": "serin", "tolerations": [{"value": "b"}]}}, "operator Equal needs a key"),
        ({"kubernetes": {"image": "serin", "train": {"memory": "0Gi"}}}, "kubernetes.train.memory = '0Gi'"),
    ],
)
def test_rules_across_fields_name_what_is_wrong(values: dict[str, object], rule: str) -> None:
    with pytest.raises(ParamsError, match=rule):
        parse_params(values, "params.yaml")


def test_a_cluster_is_described_in_either_spelling() -> None:
    written = {"executor": "kubernetes", "storage": {"url": "s3://models/serin"}}
    snake = {"image": "serin", "node_selector": {"a.b/c": "d"}, "train": {"shared_memory": "4Gi"}}
    camel = {"image": "serin", "nodeSelector": {"a.b/c": "d"}, "train": {"sharedMemory": "4Gi"}}
    params = parse_params(written | {"kubernetes": snake}, "params.yaml")
    assert params == parse_params(written | {"kubernetes": camel}, "params.yaml")
    assert params.kubernetes is not None
    assert params.kubernetes.train.shared_memory == "4Gi"


def test_a_list_of_only_the_word_means_all_linear_layers() -> None:
    listed = parse_params({"train": {"lora": {"target_modules": ["all-linear"]}}}, "params.yaml")
    assert listed == Params()
    several = parse_params({"train": {"lora": {"target_modules": ["q_proj", "all-linear"]}}}, "params.yaml")
    assert several.train.lora.target_modules == ["q_proj", "all-linear"]


def test_an_empty_file_means_the_defaults() -> None:
    assert parse_params(None, "params.yaml") == Params()


def test_resolved_params_are_read_back_as_they_were() -> None:
    params = parse_params({"train": {"epochs": 3}}, "params.yaml")
    assert parse_params(yaml.safe_load(yaml.safe_dump(params.model_dump(mode="json"))), "again") == params


def test_every_param_says_what_it_means() -> None:
    sections = [
        (name, info.annotation)
        for name, info in Params.model_fields.items()
        if isinstance(info.annotation, type) and issubclass(info.annotation, Section)
    ]
    sections += [(name, section) for name, section in [("kubernetes", KubernetesParams), ("resources", ResourceParams)]]
    silent = [
        f"{name}.{field}"
        for name, section in [(None, Params), *sections]
        for field, info in section.model_fields.items()
        if not info.description and not hasattr(info.annotation, "model_fields")
    ]
    assert silent == []
