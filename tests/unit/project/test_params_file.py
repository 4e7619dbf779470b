import re
from collections.abc import Iterator

import pytest
import yaml

from serin.core.params import KubernetesParams, Params, parse_params
from serin.core.params.section import Section
from serin.project.params_file import params_text

MANY = parse_params(
    {
        "prepare": {
            "sources": [
                {"path": "data/a: b #.csv", "format": "columns", "columns": {"user": "on", "assistant": "答案"}},
                "data/b",
                {"path": "data/c", "license": "CC-BY-4.0"},
            ],
            "benchmarks": ["data/exam.jsonl"],
            "limits": {"max_rejected_by": {"near_duplicate": 0.1}},
        },
        "train": {"learning_rate": 1e-7, "lora": {"target_modules": ["q_proj", "v_proj"]}},
        "publish": {"override": "yes: 'this' # is\na reason"},
        "rollout": {"metrics": {"ttft": {"delta": 0.2}}},
    },
    "a test",
)


def fields(section: Section, above: str = "") -> Iterator[tuple[str, str]]:
    """(Dotted path, documentation) of every field that is no section."""
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from fields(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", field.description or ""


@pytest.mark.parametrize("params", [Params(), MANY], ids=["defaults", "many"])
def test_the_text_parses_back_to_the_same_params(params: Params) -> None:
    assert parse_params(yaml.safe_load(params_text(params, "", {})), "params.yaml") == params


def test_every_field_of_every_section_stands_there() -> None:
    values = yaml.safe_load(params_text(Params(), "", {}))
    for path, _ in fields(Params()):
        inner = values
        for part in path.split("."):
            assert part in inner, path
            inner = inner[part]


def test_the_documentation_of_every_field_stands_right_above_it() -> None:
    lines = params_text(Params(), "", {}).splitlines()
    blocks = {}
    comment: list[str] = []
    for line in lines:
        if line.lstrip().startswith("#"):
            comment.append(line.lstrip("# "))
        else:
            blocks.setdefault(" ".join(comment), line)
            comment = []
    for path, documentation in fields(Params()):
        said = " ".join(documentation.split()).replace("``", "`")
        assert said, path
        line = next(line for block, line in blocks.items() if block.startswith(said))
        assert re.match(rf"\s*(- )?'?{path.rpartition('.')[2]}'?:", line), path


def test_what_a_field_may_be_is_listed() -> None:
    text = params_text(Params(), "", {})
    assert re.search(r"One of: drop, truncate, raise\.\n +too_long: drop", text)
    assert re.search(r"Any of: en, zh\.\n +lists: \[en, zh\]", text)


def test_title_and_notes_are_comments() -> None:
    text = params_text(Params(), "Of the\nworkshop.", {"prepare.max_tokens": "An estimate."})
    assert text.startswith("# Of the\n# workshop.\n\n")
    assert "  # An estimate.\n  max_tokens: 256\n" in text


def test_a_second_element_of_a_list_shows_only_what_it_sets() -> None:
    text = params_text(MANY, "", {})
    assert "    - path: data/b\n    - path: data/c\n      license: CC-BY-4.0\n" in text


def test_sections_stand_apart_and_mappings_keep_their_order() -> None:
    text = params_text(MANY, "", {})
    assert "\n\n# Stage `train`" in text
    assert "columns: {user: 'on', assistant: 答案}" in text


def test_no_line_is_wider_than_a_page() -> None:
    assert max(map(len, params_text(Params(), "", {}).splitlines())) <= 120


def test_a_section_that_is_not_set_can_be_uncommented() -> None:
    example = KubernetesParams(image="registry.example/train:1", queue="gpus")
    text = params_text(Params(), "", {}, {"kubernetes": example})
    assert parse_params(yaml.safe_load(text), "params.yaml") == Params()
    before, _, block = text.partition("# kubernetes:\n")
    uncommented = "\n".join(line.removeprefix("# ") for line in block.splitlines())
    values = yaml.safe_load(f"{before}kubernetes:\n{uncommented}")
    assert parse_params(values, "params.yaml") == Params(kubernetes=example)
