"""``serin gc``."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from serin.cli.options import load_params, params_option
from serin.cli.serving import every_serving_state, states_option

if TYPE_CHECKING:
    from serin.publish.removal.collect import Plan


@click.command("gc")
@params_option
@click.option("--dry-run", is_flag=True, help="Show the plan, and remove nothing.")
@click.option("--force", is_flag=True, help="Do not ask before removing.")
@click.option("--all-commits", is_flag=True, help="Keep what any commit refers to, not only branches and tags.")
@click.option(
    "--grace-days",
    type=click.FloatRange(min=0),
    default=7.0,
    show_default=True,
    help="Younger bytes stay: a merge may be writing them.",
)
@click.option("--despite-doubts", is_flag=True, help="Remove although something could not be read.")
@states_option
def command(
    params_path: Path,
    dry_run: bool,
    force: bool,
    all_commits: bool,
    grace_days: float,
    despite_doubts: bool,
    states: tuple[Path, ...],
) -> None:
    """Remove merged models from storage that nothing refers to.

    Kept is what is published, deployed, an output of this folder, or pointed to by DVC in a branch or tag; workspaces of
    others are not seen, which the grace period is for as well.
    """
    params = load_params(params_path)

    from serin.clients.storage import open_storage
    from serin.publish.removal import collect

    storage = open_storage(params.storage)
    project = Path.cwd()
    found = collect.plan(
        storage,
        project,
        every_serving_state(params, states),
        all_commits,
        datetime.now(UTC),
        timedelta(days=grace_days),
    )
    _show(found)
    if dry_run or not found.removed:
        return
    models = "1 model" if len(found.removed) == 1 else f"{len(found.removed)} models"
    if not force:
        click.confirm(f"Remove {models} for good?", abort=True)
    collect.remove(found, storage, despite_doubts)
    click.echo(f"removed {models}, {found.size_bytes:,} bytes")


def _show(plan: "Plan") -> None:
    for model, why in plan.kept.items():
        click.echo(f"keep    {model.revision}  {model.size_bytes:>15,} bytes  {why}")
    for model in plan.removed:
        state = "nothing refers to it" if model.is_complete else "not complete, and nothing refers to it"
        click.echo(f"remove  {model.revision}  {model.size_bytes:>15,} bytes  {state}")
    for doubt in plan.doubts:
        click.echo(f"doubt   {doubt}", err=True)
    if not plan.sees_history:
        click.echo("this folder is no git repository with DVC: what other commits point to is not seen", err=True)
    if not plan.removed:
        click.echo("nothing to remove")
