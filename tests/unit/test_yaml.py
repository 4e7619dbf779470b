"""Every YAML file of the repository is what its reader takes: params, a DVC pipeline whose commands and inputs exist, or
a manifest, which ``k8s/`` and ``controller/crds/`` beside this file test."""

import re
import subprocess
from pathlib import Path

import click
import pytest
import yaml

from serin.cli import VERBS, cli
from serin.cli.options import load_params
from serin.core.params import Params

ROOT = Path(__file__).parents[2]
FILES = subprocess.run(
    ["git", "ls-files", "*.yaml", "*.yml"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.split()
PIPELINES = [name for name in FILES if name.endswith("dvc.yaml")]
PARAMS = [name for name in FILES if name.endswith("params.yaml")]
MANIFESTS = [name for name in FILES if name.startswith(("k8s/", "examples/kubernetes/"))]


def test_every_file_is_of_a_known_kind() -> None:
    assert set(FILES) == {*PIPELINES, *PARAMS, *MANIFESTS}
    assert {"dvc.yaml", "params.yaml"} <= set(FILES)


@pytest.mark.parametrize("name", PARAMS)
def test_params_are_taken(name: str) -> None:
    load_params(ROOT / name)


@pytest.mark.parametrize("name", PIPELINES)
def test_pipelines_call_verbs_with_options_that_exist(name: str) -> None:
    stages = yaml.safe_load((ROOT / name).read_text())["stages"]
    for stage in stages.values():
        for verb, arguments in re.findall(r"\bserin (\w+)((?: (?!&&).)*)", stage["cmd"]):
            assert verb in VERBS
            command = cli.get_command(click.Context(cli), verb)
            assert command is not None
            known = {option for parameter in command.params for option in parameter.opts}
            assert set(re.findall(r"--[a-z-]+", arguments)) <= known
        for params in stage.get("params", []):
            sections = params if isinstance(params, dict) else {"params.yaml": [params]}
            for names in sections.values():
                for section, *fields in (name.split(".") for name in names):
                    assert section in Params.model_fields
                    assert set(fields) <= set(Params.model_fields[section].default.__class__.model_fields)


@pytest.mark.parametrize("name", PIPELINES)
def test_pipelines_read_what_is_in_the_repository_or_made_by_a_stage(name: str) -> None:
    made = {
        out for pipeline in PIPELINES for s in yaml.safe_load((ROOT / pipeline).read_text())["stages"].values()
        for out in s["outs"]
    }  # fmt: skip
    for stage in yaml.safe_load((ROOT / name).read_text())["stages"].values():
        for needed in stage["deps"]:
            assert needed in made or (ROOT / needed).exists(), needed
