"""What one deploy says otherwise."""

import pytest
from pydantic import ValidationError

from serin.core.errors import ConfigError, UsageError
from serin.core.params import AutoscalingParams, RevisionParams
from serin.serve.topology import settings as module
from serin.serve.topology.settings import check_vllm_arguments, settings_with


def test_words_change_the_section_and_leave_the_rest() -> None:
    section = RevisionParams(gpus=2, vllm={"max_num_seqs": 8})
    told = settings_with(section, ["replicas=3", "vllm.enable_prefix_caching=true", "vllm.seed=7"])
    assert (told.replicas, told.gpus) == (3, 2)
    assert told.vllm == {"max_num_seqs": 8, "enable_prefix_caching": True, "seed": 7}
    assert section.vllm == {"max_num_seqs": 8}
    assert settings_with(section, ["autoscaling.max_replicas=4"]).autoscaling == AutoscalingParams(max_replicas=4)
    assert settings_with(section, []) == section


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("replicas", "expected NAME=VALUE"),
        ("=3", "expected NAME=VALUE"),
        ("a.b.c=3", "expected NAME=VALUE"),
        ("replicas=0", "replicas: "),
        ("replicas=many", "replicas: "),
        ("replica=2", "replica: "),
        ("vllm.model=other", "Serin sets them"),
        ("vllm.middleware=[]", "Serin sets them"),
        ("gpus=1.5", "whole number"),
        ("autoscaling.min_replicas=3", "max_replicas"),
        ("replicas=[", "not YAML"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(word: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        settings_with(RevisionParams(), [word])


def test_an_unknown_argument_of_vllm_is_refused_before_anything_is_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "vllm_arguments", lambda: {"max_num_seqs", "seed"})
    check_vllm_arguments(RevisionParams(vllm={"max_num_seqs": 8}))
    with pytest.raises(ConfigError, match=r"max_num_seq \(did you mean max_num_seqs\?\)"):
        check_vllm_arguments(RevisionParams(vllm={"max_num_seq": 8}))


def test_a_span_of_replicas_must_be_one() -> None:
    with pytest.raises(ValidationError, match="at least min_replicas = 3"):
        AutoscalingParams(min_replicas=3, max_replicas=2)
