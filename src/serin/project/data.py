"""The data that a project is made for: which files it is, and where in the project they will be."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from serin.core.errors import InputError, UsageError
from serin.core.params import SourceParams
from serin.prepare.raw.sources import RawFile, find_files

DATA_FOLDER = "data"


@dataclass(frozen=True, slots=True)
class Given:
    """One thing that the user named as data: a file, a folder, a pattern, or an address in S3.

    ``files`` are those found, ``places`` their paths in the project, in the same order. ``place`` is the path that names all of
    them at once; None for a pattern, of which each file is named. ``copied`` says that they have to be brought there.
    """

    argument: str
    files: tuple[RawFile, ...]
    places: tuple[str, ...]
    place: str | None
    copied: bool

    @property
    def is_remote(self) -> bool:
        """Whether it lies in S3."""
        return self.argument.startswith("s3://")


def find_data(arguments: Sequence[str], directory: Path) -> list[Given]:
    """Every file of the data, each once, with its place in the project.

    What lies in ``directory`` stays there; everything else local is to be copied to its folder ``data``.

    Raises:
        UsageError: a folder that holds the project itself, or two files for one place.
        InputError: an argument that names nothing, or a file of a kind that cannot be read.
    """
    project = _absolute(directory)
    found = [_given(argument, project) for argument in dict.fromkeys(arguments)]
    taken: dict[str, str] = {}
    for given in found:
        for file, place in zip(given.files, given.places, strict=True):
            if place in taken:
                same = taken[place] == file.path
                raise UsageError(
                    f"{file.path} is named twice: name it once"
                    if same
                    else f"{taken[place]} and {file.path} would both become {place} in {directory}: rename one of them"
                )
            taken[place] = file.path
            if given.copied and (directory / place).exists():
                raise UsageError(
                    f"{directory / place} exists already and would be overwritten by {file.path}: name the one in "
                    f"{directory}, or rename the other"
                )
    return found


def copies_of(data: Sequence[Given]) -> Iterator[tuple[Path, str]]:
    """(File, its place in the project) for each file that has to be copied."""
    for given in data:
        if given.copied:
            yield from ((Path(file.path), place) for file, place in zip(given.files, given.places, strict=True))


def _given(argument: str, project: Path) -> Given:
    files = _files(argument)
    if argument.startswith("s3://"):
        return Given(argument, files, tuple(file.path for file in files), argument, copied=False)
    path = _absolute(Path(argument))
    is_named = path.exists()
    if path.is_dir() and project.is_relative_to(path):
        raise UsageError(
            f"--data {argument} holds the project {project.name} itself, and so all that it will write: put the data into a "
            f"folder of its own, such as {DATA_FOLDER}"
        )
    if is_named and path.is_relative_to(project):
        places = tuple(_absolute(Path(file.path)).relative_to(project).as_posix() for file in files)
        return Given(argument, files, places, path.relative_to(project).as_posix(), copied=False)
    if path.is_dir():
        place = f"{DATA_FOLDER}/{path.name}"
        inside = (_absolute(Path(file.path)).relative_to(path).as_posix() for file in files)
        return Given(argument, files, tuple(f"{place}/{name}" for name in inside), place, copied=True)
    within = [_absolute(Path(file.path)).is_relative_to(project) for file in files]
    if all(within):
        places = tuple(_absolute(Path(file.path)).relative_to(project).as_posix() for file in files)
        return Given(argument, files, places, None, copied=False)
    if any(within):
        raise UsageError(f"--data {argument} names files inside and outside of {project.name}: name them one by one")
    places = tuple(f"{DATA_FOLDER}/{Path(file.path).name}" for file in files)
    return Given(argument, files, places, places[0] if is_named else None, copied=True)


def _files(argument: str) -> tuple[RawFile, ...]:
    try:
        return tuple(find_files([SourceParams(path=argument)]))
    except InputError as error:
        found = str(error).removesuffix("; edit prepare.sources")
        raise InputError(f"--data {found}; name another file") from error


def _absolute(path: Path) -> Path:
    """Without following links: data that is linked into a project is in it."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.resolve follows links, and Path.absolute keeps '..'
