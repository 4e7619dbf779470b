"""``serin prepare``."""

from pathlib import Path

import click

from serin.cli.options import load_params, params_option
from serin.cli.progress import progress_bar


@click.command("prepare")
@params_option
@click.option("--base", "base_out", type=click.Path(path_type=Path), default=Path("artifacts/base"), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("artifacts/dataset"), show_default=True)
def command(params_path: Path, base_out: Path, out: Path) -> None:
    """Clean, deduplicate and split raw data; every record is kept or rejected with a reason."""
    params = load_params(params_path)

    from serin.base import stage as base_stage
    from serin.clients.files import read_json
    from serin.prepare import stage

    base = base_stage.load(base_out)
    with progress_bar("prepare") as bar:
        manifest = stage.run(params.prepare, base.folder, base.digest, out, bar)
    report = read_json(out / "quality.json")
    reasons = ", ".join(f"{count} {reason}" for reason, count in report["rejected"].items())
    splits = ", ".join(f"{part['records']} {split}" for split, part in report["splits"].items())
    click.echo(f"dataset {manifest.digest[:12]}: {report['read']} records read, {report['kept']} kept ({splits})")
    click.echo(f"rejected: {reasons or 'none'}; see {out / 'rejected.jsonl'}")
