"""``serin init``."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from serin.project.columns import Role
    from serin.project.look import Look


@click.command("init")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--data",
    multiple=True,
    required=True,
    metavar="FILE…",
    help="Files, folders, patterns, or s3:// addresses of question-answer data; local ones outside of DIR are copied.",
)
@click.argument("more_data", metavar="", nargs=-1)
@click.option(
    "--base",
    metavar="MODEL",
    help="The model to fine-tune: a folder in Hugging Face format, or a hub id (owner/name) with its --revision.  [default: "
    "left to be named in params.yaml]",
)
@click.option("--revision", metavar="HEX", help="The 40-hex commit of a hub id.")
@click.option("--name", help="What the tuned models are called.  [default: the name of DIR]")
@click.option(
    "--columns",
    metavar="ROLE=COLUMN,…",
    help="Where user and assistant (and system, group, language, id) stand in files of no known format.  [default: guessed]",
)
def command(
    directory: Path,
    data: tuple[str, ...],
    more_data: tuple[str, ...],
    base: str | None,
    revision: str | None,
    name: str | None,
    columns: str | None,
) -> None:
    """Start a project in DIR: params.yaml, dvc.yaml, .dvc, .gitignore and a README, from a look at the data.

    Nothing is written where something does not fit.
    """
    from serin.project.init import start_project

    # DVC asks its settings only after 'dvc init' whether it may report its use, and they do not say no before then.
    os.environ.setdefault("DVC_NO_ANALYTICS", "1")
    project = start_project(directory, [*data, *more_data], base, revision, name, _columns(columns))
    for place, look in project.looks.items():
        click.echo(f"{place}: {_found(look)}")
    for source, place in project.copied:
        click.echo(f"copied {source} to {directory / place}")
    click.echo(f"wrote {', '.join(project.written)} and .dvc in {directory}")
    here = directory.resolve() == Path.cwd()
    first = "name your model under base in params.yaml, then " if base is None else ""
    click.echo(
        f"next: {first}{'' if here else f'cd {directory} && '}dvc repro prepare, then look at artifacts/dataset/quality.html"
    )


def _columns(text: str | None) -> "dict[Role, str] | None":
    """``user=Q,assistant=A`` as a mapping. Raises a usage error where it is none."""
    if text is None:
        return None
    from typing import get_args

    from serin.project.columns import Role

    pairs = [part.partition("=") for part in text.split(",")]
    found: dict[Role, str] = {
        role: column.strip()
        for given, _, column in pairs
        for role in get_args(Role)
        if role == given.strip() and column
    }
    if len(found) < len(pairs) or not {"user", "assistant"} <= found.keys():
        raise click.UsageError(
            f"--columns {text}: expected user=COLUMN,assistant=COLUMN, and {', '.join(get_args(Role))} at most once each"
        )
    return found


def _found(look: "Look") -> str:
    """A file in one line."""
    from serin.project.documents import count_of

    source = look.file.source
    parts = [str(source.format)]
    if source.columns is not None:
        parts[0] += f" ({', '.join(f'{role} = {column}' for role, column in source.columns.items())})"
    if source.encoding != "utf-8":
        parts.append(source.encoding)
    languages = ", ".join(f"{count} {language}" for language, count in look.languages.items())
    parts.append(f"{count_of(look)} records; {look.read} looked at: {languages}")
    if look.unlike:
        parts[-1] += f", {look.unlike} that prepare will reject"
    if look.group is not None:
        parts.append(f"groups by {look.group}")
    return ", ".join(parts)
