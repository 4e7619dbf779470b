"""``serin publish``."""

from pathlib import Path

import click

from serin.cli.options import load_params, params_option
from serin.cli.progress import progress_bar
from serin.core.task import Word

_MB = 1_000_000
_WORTH_A_BAR_BYTES = 500 * _MB


@click.command("publish")
@params_option
@click.option("--merged", type=click.Path(path_type=Path), default=Path("artifacts/merged"), show_default=True)
@click.option("--evaluation", type=click.Path(path_type=Path), default=Path("artifacts/evaluation"), show_default=True)
@click.option("--no-evaluation", is_flag=True, help="There is no verdict; only an override can publish then.")
@click.option("--adapter", type=click.Path(path_type=Path), default=Path("artifacts/adapter"), show_default=True)
@click.option("--dataset", type=click.Path(path_type=Path), default=Path("artifacts/dataset"), show_default=True)
@click.option("--base", type=click.Path(path_type=Path), default=Path("artifacts/base"), show_default=True)
@click.option("--override", metavar="REASON", help="Publish without a passing verdict; the record keeps the reason.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("artifacts/published"), show_default=True)
def command(
    params_path: Path,
    merged: Path,
    evaluation: Path,
    no_evaluation: bool,
    adapter: Path,
    dataset: Path,
    base: Path,
    override: str | None,
    out: Path,
) -> None:
    """Make a merged model visible to serving, with all that it was made from.

    Refused (3) without its own passing verdict against what is in production. Published again, nothing changes.
    """
    params = load_params(params_path)

    from pydantic import ValidationError

    from serin.core.errors import UsageError
    from serin.core.params import PublishParams

    chosen = params.publish
    if override is not None:
        try:
            chosen = PublishParams(override=override, license=params.publish.license)
        except ValidationError as error:
            raise UsageError(
                f"--override {override!r}: a reason of at least 10 characters is kept with the model"
            ) from error
    if params.executor == "kubernetes":
        from serin.cli.cluster import run_on_cluster

        places: dict[Word, Path] = {
            "base": base,
            "dataset": dataset,
            "adapter": adapter,
            "merged": merged,
            "evaluation": evaluation,
        }
        params = params.model_copy(update={"publish": chosen})
        run_on_cluster(params, "publish", places, out, {"--no-evaluation": no_evaluation})
        return

    from serin.clients.storage import open_storage
    from serin.publish import stage
    from serin.publish.evidence import Outputs

    outputs = Outputs(merged, None if no_evaluation else evaluation, adapter, dataset, base)
    with progress_bar("verify") as bar:

        def verified(done_bytes: int, total_bytes: int) -> None:
            if total_bytes >= _WORTH_A_BAR_BYTES:
                bar(done_bytes // _MB, total_bytes // _MB, "MB")

        record = stage.run(chosen, outputs, open_storage(params.storage), Path.cwd(), out, progress=verified)
    if record.override is not None:
        click.echo(f"published without a passing verdict: {record.override}", err=True)
    click.echo(f"published {record.revision}")
