"""The README tells the truth about the tree and the commands."""

import re
from pathlib import Path

from serin.cli import VERBS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_tree_names_every_package_and_no_other() -> None:
    tree = README.split("src/serin/\n")[1].split("examples/")[0]
    named = set(re.findall(r"^  (\w+)/", tree, re.MULTILINE))
    assert named == {p.parent.name for p in (ROOT / "src/serin").glob("*/__init__.py")}


def test_every_command_shown_exists() -> None:
    verbs = set(re.findall(r"^\$ (?:\.venv/bin/)?serin (\w+)", README, re.MULTILINE))
    assert verbs <= set(VERBS)
    targets = set(re.findall(r"^\$ make (\w+)", README, re.MULTILINE))
    assert targets <= set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
