"""A project in a folder: everything is checked first, then written, and taken back where something goes wrong."""

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from serin.clients.dvc import run_dvc
from serin.clients.files import write_atomically
from serin.core.errors import UsageError
from serin.core.params import KubernetesParams, PrepareParams
from serin.prepare.record.language import LanguageDetector
from serin.project.base_model import BaseModel, find_base
from serin.project.columns import Role
from serin.project.data import copies_of, find_data
from serin.project.documents import GITIGNORE, README, gitignore_text, readme_text
from serin.project.look import Look, look_at
from serin.project.params_file import params_text
from serin.project.pipeline import pipeline_text
from serin.project.settings import name_of, settle

PARAMS = "params.yaml"
PIPELINE = "dvc.yaml"
_README_BESIDE_ANOTHER = "SERIN.md"
_TITLE = """\
Every setting of this project, each with its meaning above it; a line that is left out has Serin's default.
Look first at prepare.sources, the three lengths (max_tokens and max_model_len), prepare.split and train."""

_EXAMPLES = {"kubernetes": KubernetesParams(image="registry.example/serin-train:latest")}


@dataclass(frozen=True, slots=True)
class Project:
    """What was made: the looks at the data by their places, the files written, and those that were copied."""

    directory: Path
    name: str
    looks: Mapping[str, Look]
    group: str
    written: tuple[str, ...]
    copied: tuple[tuple[str, str], ...]


def start_project(
    directory: Path,
    data: Sequence[str],
    base: str | None,
    revision: str | None = None,
    name: str | None = None,
    columns: Mapping[Role, str] | None = None,
) -> Project:
    """Look at the data and write a project into ``directory``.

    Args:
        directory: made if need be; what else it holds stays as it is.
        data: files, folders, patterns and addresses in S3; local ones outside of ``directory`` are copied to its ``data``.
        base: a model folder, or a hub id; None: still to be named in params.yaml.
        revision: the 40-hex commit of a hub id.
        name: of the models; None: made from the folder's name.
        columns: where question and answer stand in files of no known format; None: guessed.

    Raises:
        UsageError: there is a project already, or the arguments do not fit.
        InputError: data that is missing, empty or unreadable.
        ConfigError: a base model that cannot be used, or data whose columns cannot be told apart.
    """
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"{directory} is a file: DIR comes first, then --data FILE…")
    for file in (PARAMS, PIPELINE):
        if (directory / file).exists():
            raise UsageError(f"{directory} has a {file}, so it is a project already: take another folder, or edit it")
    name = name_of(name, Path(os.path.abspath(directory)).name)  # noqa: PTH100 - '.' and '..' have no name of their own
    model = find_base(base, revision)
    given = find_data(data, directory)
    detector = LanguageDetector(PrepareParams().languages.detect)
    found = [(one, [look_at(file, columns, detector) for file in one.files]) for one in given]
    model_path = _base_path(model, directory)
    params, notes = settle(name, model_path, model.revision, model.context_tokens, found)
    places = [place for one in given if not one.is_remote for place in ([one.place] if one.place else one.places)]
    readme = README if not (directory / README).exists() else _README_BESIDE_ANOTHER
    texts = {
        GITIGNORE: gitignore_text(_present(directory / GITIGNORE)),
        readme: readme_text(name, model_path, found),
        PIPELINE: pipeline_text(name, model_path if model.folder else None, places),
        PARAMS: params_text(params, _TITLE, notes, _EXAMPLES),
    }
    copied = list(copies_of(given))
    write_project(directory, copied, texts)
    return Project(
        directory=directory,
        name=name,
        looks={place: look for one, looks in found for place, look in zip(one.places, looks, strict=True)},
        group=params.prepare.split.group,
        written=tuple(texts),
        copied=tuple((source.as_posix(), place) for source, place in copied),
    )


def write_project(directory: Path, copies: Sequence[tuple[Path, str]], texts: Mapping[str, str]) -> None:
    """Copy the data, set DVC up and write the texts, the last one last; where that fails, take everything back."""
    with ExitStack() as undo:
        _make_folder(directory, undo)
        for source, place in copies:
            target = directory / place
            _make_folder(target.parent, undo)
            undo.callback(target.unlink, missing_ok=True)
            shutil.copyfile(source, target)
        for name, text in texts.items():
            path = directory / name
            if path.exists():
                undo.callback(write_atomically, path, path.read_bytes(), path.stat().st_mode & 0o777)
            else:
                undo.callback(path.unlink, missing_ok=True)
            if name != PARAMS:
                write_atomically(path, text.encode())
        _set_up_dvc(directory, undo)
        write_atomically(directory / PARAMS, texts[PARAMS].encode())
        undo.pop_all()


def _set_up_dvc(directory: Path, undo: ExitStack) -> None:
    """``dvc init`` as it suits the folder: in git, below a git repository's root, or without git."""
    if (directory / ".dvc").exists():
        return
    undo.callback(shutil.rmtree, directory / ".dvc", ignore_errors=True)
    if not (directory / ".dvcignore").exists():
        undo.callback((directory / ".dvcignore").unlink, missing_ok=True)
    root = directory.resolve()
    if (root / ".git").exists():
        how = []
    elif any((parent / ".git").exists() for parent in root.parents):
        how = ["--subdir"]
    else:
        how = ["--no-scm"]
    run_dvc(directory, "init", *how)
    run_dvc(directory, "config", "core.analytics", "false")


def _make_folder(folder: Path, undo: ExitStack) -> None:
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir()
        undo.callback(_remove_if_empty, path)


def _remove_if_empty(folder: Path) -> None:
    """What somebody else has put there meanwhile stays."""
    with suppress(OSError):
        folder.rmdir()


def _base_path(model: BaseModel, directory: Path) -> str:
    """As params name it: a hub id as it is, a folder as seen from the project."""
    if model.folder is None:
        return model.name
    return Path(os.path.relpath(model.folder.resolve(), directory.resolve())).as_posix()


def _present(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
