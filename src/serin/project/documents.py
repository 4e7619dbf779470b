"""The texts of a new project that are not settings: its page, and what git leaves out."""

from collections.abc import Sequence
from importlib.resources import files
from string import Template

from serin.project.data import Given
from serin.project.look import Look

README = "README.md"
GITIGNORE = ".gitignore"


def readme_text(name: str, base: str, data: Sequence[tuple[Given, Sequence[Look]]]) -> str:
    """The project's page: what it is, the commands in order, and the settings to look at first."""
    rows = [
        f"| `{place}` | {look.format} | {count_of(look)} | {', '.join(look.languages)} |"
        for given, looks in data
        for place, look in zip(given.places, looks, strict=True)
    ]
    table = "\n".join(["| data | format | records | languages |", "|---|---|---|---|", *rows])
    return Template(_template("readme.md")).substitute(name=name, base=base, data=table)


def gitignore_text(present: str) -> str:
    """``.gitignore`` with the project's patterns; what is ``present`` already stays, and nothing is said twice."""
    wanted = _template("gitignore.txt")
    if not present:
        return wanted
    lines = present.splitlines()
    missing = [line for line in wanted.splitlines() if line not in lines and not line.startswith("#")]
    return "\n".join([*lines, *missing]) + "\n"


def count_of(look: Look) -> str:
    """How many records a file has, as far as its head tells."""
    if look.records is None:
        return f"more than {look.read}"
    return f"{look.records}" if look.records == look.read else f"about {look.records}"


def _template(name: str) -> str:
    return files("serin.project").joinpath("templates", name).read_text(encoding="utf-8")
