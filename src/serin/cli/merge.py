"""``serin merge``."""

from pathlib import Path

import click

from serin.cli.options import load_params, params_option
from serin.core.task import Word


@click.command("merge")
@params_option
@click.option("--base", "base_out", type=click.Path(path_type=Path), default=Path("artifacts/base"), show_default=True)
@click.option("--adapter", type=click.Path(path_type=Path), default=Path("artifacts/adapter"), show_default=True)
@click.option(
    "--dataset",
    type=click.Path(path_type=Path),
    default=Path("artifacts/dataset"),
    show_default=True,
    help="What the adapter was trained on: merge.base: auto scores on its validation split.",
)
@click.option("--no-adapter", is_flag=True, help="Store the base model itself as a servable model.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("artifacts/merged"), show_default=True)
def command(params_path: Path, base_out: Path, adapter: Path, dataset: Path, no_adapter: bool, out: Path) -> None:
    """Add the adapter to the base model, and put the sum into storage."""
    params = load_params(params_path)
    if params.executor == "kubernetes":
        from serin.cli.cluster import run_on_cluster

        places: dict[Word, Path] = {"base": base_out, "dataset": dataset, "adapter": adapter}
        run_on_cluster(params, "merge", places, out, {"--no-adapter": no_adapter})
        return

    from serin.base import stage as base_stage
    from serin.clients.files import read_json
    from serin.clients.models import POINTER
    from serin.clients.storage import open_storage
    from serin.merge import stage

    base = base_stage.load(base_out)
    storage = open_storage(params.storage)
    trained = None if no_adapter else adapter
    digest = stage.run(params.merge, base.folder, base.digest, trained, storage, out, dataset)
    if trained is not None:
        onto = read_json(out / POINTER)["onto"]
        click.echo(f"merged onto the {onto['kind']} base: {onto['why']}")
    click.echo(f"merged model {params.merge.name}@{digest[:12]} is in {storage.uri(f'models/{params.merge.name}')}")
