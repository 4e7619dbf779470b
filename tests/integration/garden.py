"""A project for the whole pipeline: the repository's own dvc.yaml, a tiny base model, and little data about a garden."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.warm.start import Warm

from serin.clients.files import write_jsonl
from serin.core.params import Params

ROOT = Path(__file__).parents[2]
ASKED = ("How long is rule", "Tell me about the garden's rule", "Does anything end", "My neighbour names")


@dataclass(frozen=True)
class Garden:
    """The project's folder, and how commands start there."""

    folder: Path
    warm: Warm

    def run(self, *command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """A module's command (``dvc``, ``serin``) in the project, with this Python's programs on the path."""
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return self.warm.run(
            [sys.executable, "-m", *command],
            cwd=self.folder,
            env={**os.environ, "PATH": programs, **environment},
            text=True,
        )

    def change(self, section: str, **values: Any) -> None:
        """Change values of params.yaml."""
        path = self.folder / "params.yaml"
        params = yaml.safe_load(path.read_text())
        params.setdefault(section, {}).update(values)
        path.write_text(yaml.safe_dump(params))


def new_garden(folder: Path, warm: Warm, base: Path, **sections: Any) -> Garden:
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
    garden = Garden(folder, warm)
    done = garden.run("dvc", "init", "--no-scm", "-q")
    assert done.returncode == 0, done.stderr
    return garden
