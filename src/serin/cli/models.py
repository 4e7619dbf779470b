"""``serin models``: list, show, lineage, diff, tag, delete."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from serin.cli.options import load_params, params_option
from serin.cli.serving import every_serving_state, states_option

if TYPE_CHECKING:
    from serin.clients.storage import Storage

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead, with everything that is known.")


@click.group("models")
def command() -> None:
    """Look at published models, name them, and delete them.

    A REVISION is written name@digest (8 digits are enough), name@v1.2.0, name#production, a digest, or as a response's
    x-serin-revision has it.
    """


@command.command("list")
@click.argument("name", required=False)
@json_option
@params_option
def list_(name: str | None, as_json: bool, params_path: Path) -> None:
    """List what is published, of all names or of NAME, with versions and stages."""
    storage = _storage(params_path)

    from serin.publish.registry.listing import rows

    found = rows(storage, Path.cwd(), name)
    if as_json:
        _print(found)
        return
    for row in found:
        words = [*row["versions"], *(f"#{stage}" for stage in row["stages"])]
        verdict = "overridden" if row["override"] else "passed"
        click.echo(f"{row['name']}@{row['digest'][:12]}  {row['at'][:16]}  {verdict:<10}  {' '.join(words)}".rstrip())
    if not found:
        click.echo(f"nothing is published{f' as {name}' if name else ''}: run 'serin publish'", err=True)


@command.command()
@click.argument("revision")
@click.option("--card", is_flag=True, help="Print the model card.")
@json_option
@params_option
def show(revision: str, card: bool, as_json: bool, params_path: Path) -> None:
    """Show one REVISION: its record, or its model card."""
    storage = _storage(params_path)

    from serin.publish import evidence
    from serin.publish.registry.listing import shown
    from serin.publish.registry.resolve import find_record

    record, _ = find_record(revision, storage, Path.cwd())
    if card:
        click.echo(storage.read(f"{record.evidence}/{evidence.CARD}").decode(), nl=False)
    elif as_json:
        _print(record.model_dump())
    else:
        for line in shown(record, storage, Path.cwd()):
            click.echo(line)


@command.command()
@click.argument("revision")
@json_option
@params_option
def lineage(revision: str, as_json: bool, params_path: Path) -> None:
    """Walk from a REVISION back to its evaluation, adapter, data and base, from storage alone."""
    storage = _storage(params_path)

    from serin.publish.lineage.walk import tell

    walked = _walk(revision, storage)
    if as_json:
        _print(walked)
    else:
        for line in tell(walked):
            click.echo(line)


@command.command()
@click.argument("a")
@click.argument("b")
@json_option
@params_option
def diff(a: str, b: str, as_json: bool, params_path: Path) -> None:
    """Show what differs between two revisions: base, data, params, code, and figures with intervals."""
    storage = _storage(params_path)

    from serin.publish.lineage.difference import difference, tell

    found = difference(_walk(a, storage), _walk(b, storage))
    if as_json:
        _print(found)
    else:
        for line in tell(found):
            click.echo(line)


@command.command()
@click.argument("revision")
@click.option("--version", metavar="vX.Y.Z", help="Given once; it stays with the revision.")
@click.option("--stage", metavar="STAGE", help="Such as production; moved from the revision that has it.")
@click.option("--commit", default="HEAD", show_default=True, help="The commit whose dvc.lock published it.")
@params_option
def tag(revision: str, version: str | None, stage: str | None, commit: str, params_path: Path) -> None:
    """Give a REVISION a version, a stage, or both: in storage, and as git tags by GTO's convention."""
    storage = _storage(params_path)

    from serin.publish.registry.resolve import resolve
    from serin.publish.registry.tagging import give

    project = Path.cwd()
    found = resolve(revision, storage, project)
    given = give(found, version, stage, storage, project, commit, _now())
    click.echo(f"{found} is {' and '.join(filter(None, [version, stage and f'#{stage}']))}")
    if not given.in_git:
        click.echo("this folder is no git repository with DVC: it stands in storage alone", err=True)
    _remind(given.tags)


@command.command()
@click.argument("revision")
@click.option("--dry-run", is_flag=True, help="Show what would go, and what still needs it.")
@click.option("--force", metavar="REASON", help="Delete it although it is in a stage or served; the reason is kept.")
@states_option
@json_option
@params_option
def delete(
    revision: str, dry_run: bool, force: str | None, states: tuple[Path, ...], as_json: bool, params_path: Path
) -> None:
    """Delete a REVISION's bytes from storage; how it was made stays known to 'serin models lineage'."""
    storage = _storage(params_path)

    from serin.publish.registry.resolve import resolve
    from serin.publish.removal import delete as deletion

    project = Path.cwd()
    plan = deletion.plan(
        resolve(revision, storage, project), storage, project, every_serving_state(load_params(params_path), states)
    )
    if as_json:
        _print(deletion.as_dict(plan))
    else:
        click.echo(f"{plan.revision}: {plan.files} files, {plan.size_bytes:,} bytes in {plan.record.model_uri}")
        for words in plan.held_by:
            click.echo(f"still needed: {words}")
    if not dry_run:
        made = deletion.execute(plan, storage, project, force, _now())
        click.echo(f"deleted {plan.revision}", err=as_json)
        _remind(tuple(made))


def _storage(params_path: Path) -> "Storage":
    params = load_params(params_path)

    from serin.clients.storage import open_storage

    return open_storage(params.storage)


def _walk(revision: str, storage: "Storage") -> dict[str, Any]:
    from serin.publish.lineage.walk import walk
    from serin.publish.registry.resolve import find_record

    record, deleted = find_record(revision, storage, Path.cwd())
    walked = walk(storage, record)
    return {**walked, "deleted": deleted.model_dump(exclude={"record"})} if deleted else walked


def _remind(tags: tuple[str, ...]) -> None:
    if tags:
        click.echo(f"to let others know: git push origin {' '.join(repr(tag) for tag in tags)}", err=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _print(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
