"""``serin publish``."""

from pathlib import Path

import click

from serin.cli.options import load_params, params_option


@click.command("publish")
@params_option
@click.option("--merged", type=click.Path(path_type=Path), default=Path("artifacts/merged"), show_default=True)
@click.option("--evaluation", type=click.Path(path_type=Path), default=Path("artifacts/evaluation"), show_default=True)
@click.option("--no-evaluation", is_flag=True, help="There is no verdict; only an override can publish then.")
@click.option("--override", metavar="REASON", help="Publish without a passing verdict; the manifest keeps the reason.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("artifacts/published"), show_default=True)
def command(
    params_path: Path, merged: Path, evaluation: Path, no_evaluation: bool, override: str | None, out: Path
) -> None:
    """Make a merged model visible to serving."""
    params = load_params(params_path)

    from serin.clients.storage import open_storage
    from serin.core.params import PublishParams
    from serin.publish import stage

    chosen = params.publish if override is None else PublishParams(override=override)
    revision = stage.run(chosen, merged, None if no_evaluation else evaluation, open_storage(params.storage), out)
    click.echo(f"published {revision}")
