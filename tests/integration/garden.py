"""A project for the whole pipeline: the repository's own dvc.yaml, a tiny base model, and little data about a garden."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from serin.clients.files import write_jsonl
from serin.core.params import Params

ROOT = Path(__file__).parents[2]
ASKED = ("How long is rule", "Tell me about the garden's rule", "Does anything end", "My neighbour names")


def run(folder: Path, *command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """A module's command (``dvc``, ``serin``) in the project, with this Python's programs on the path."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "PATH": programs, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def write_project(folder: Path, base: Path, **sections: Any) -> None:
    """A clone's dvc.yaml with another base model, other data and quick params, and ``dvc init``; nothing has run."""
    shutil.copy(ROOT / "dvc.yaml", folder)
    shutil.copytree(base, folder / "examples/labour-law/base")
    for name in ("corpus", "raw"):
        (folder / "examples/labour-law" / name).mkdir()
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"{asked} {'abcdefgh'[n]}{n * 37}?"},
                {"role": "assistant", "content": f"Rule {n} of the garden lasts {n + 2} months, by Article {n + 1}."},
            ],
            "fact": f"fact-{n}",
        }
        for n in range(8)
        for asked in ASKED
    ]
    write_jsonl(folder / "examples/labour-law/raw/rows.jsonl", rows)
    tracked = Params.model_fields.keys() - {"executor", "kubernetes"}  # these say where it runs
    params: dict[str, Any] = {section: {} for section in tracked} | {  # DVC wants every section that dvc.yaml names
        "prepare": {"sources": ["examples/labour-law/raw"], "split": {"test": 0.4, "validation": 0.0}},
        "train": {"epochs": 1, "lora": {"r": 2, "alpha": 2}},
        "merge": {"name": "tiny"},
        "evaluate": {
            "forgetting": {"general": []},
            "safety": {"red_team": []},
            "rules": [{"metric": "token_f1", "over": "base", "above": -1.0}],
            "max_new_tokens": 8,
            "resamples": 200,
        },
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(params | sections))
    done = run(folder, "dvc", "init", "--no-scm", "-q")
    assert done.returncode == 0, done.stderr
