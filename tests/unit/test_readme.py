"""The README tells the truth about the tree, the commands and the params."""

import re
from pathlib import Path

import click
import pytest
import yaml

from serin.cli import VERBS, cli
from serin.core.params import Params, parse_params

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
TREE = next(text for kind, text in BLOCKS if not kind and text.startswith("src/serin/"))
COMMANDS = [line[2:].split("#")[0].split() for _, text in BLOCKS for line in text.splitlines() if line[:2] == "$ "]


def test_the_tree_names_every_package_and_no_other() -> None:
    named = set(re.findall(r"^  (\w+)/", TREE.split("examples/")[0], re.MULTILINE))
    assert named == {p.parent.name for p in (ROOT / "src/serin").glob("*/__init__.py")}


def test_everything_in_the_tree_is_there() -> None:
    above = ""
    for line in TREE.splitlines():
        name = line.split()[0]
        path = f"{above}{name}" if line.startswith(" ") else name
        above = above if line.startswith(" ") else name
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_shown_exists(command: list[str]) -> None:
    program, *arguments = command
    if program == "make":
        assert set(arguments) <= set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    elif program == "dvc":
        assert arguments[0] in ("repro", "push", "pull", "metrics", "plots", "exp")
    else:
        assert Path(program).name == "serin"
        assert arguments[0] in VERBS
        found = cli.get_command(click.Context(cli), arguments[0])
        if isinstance(found, click.Group):
            found = found.get_command(click.Context(found), arguments[1])
        assert found is not None
        known = {option for parameter in found.params for option in parameter.opts}
        assert {argument for argument in arguments if argument.startswith("--")} <= known


@pytest.mark.parametrize("text", [text for kind, text in BLOCKS if kind == "yaml"])
def test_every_params_snippet_is_taken(text: str) -> None:
    assert parse_params(yaml.safe_load(text), "README.md") != Params()


def test_every_file_that_is_linked_or_named_is_there() -> None:
    for path in re.findall(r"\]\(([\w/.-]+)\)|`((?:src|examples|benchmarks|tests)/[\w/.-]+)`", README):
        assert (ROOT / (path[0] or path[1])).exists(), path


def test_the_replayed_rollouts_are_those_of_the_result_file() -> None:
    result = (ROOT / "benchmarks/results/rollout_replay.txt").read_text(encoding="utf-8")
    assert any(kind == "text" and text.strip() in result for kind, text in BLOCKS)
