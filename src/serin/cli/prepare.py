"""``serin prepare``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from serin.cli.options import load_params, params_option
from serin.cli.progress import progress_bar
from serin.core.errors import GateError, UsageError
from serin.core.params import Params, SourceParams


@click.command("prepare")
@params_option
@click.option("--base", "base_out", type=click.Path(path_type=Path), default=Path("artifacts/base"), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("artifacts/dataset"), show_default=True)
@click.option(
    "--check", "only_check", is_flag=True, help="Report without writing a dataset; exit 3 where a limit is missed."
)
@click.option("--report", "page", type=click.Path(path_type=Path), help="With --check: write quality.html here.")
@click.argument("files", nargs=-1)
def command(
    params_path: Path, base_out: Path, out: Path, only_check: bool, page: Path | None, files: tuple[str, ...]
) -> None:
    """Clean, deduplicate and split raw data; every record is kept or rejected with a reason.

    With --check, FILES (files, folders, globs, s3://…) take the place of the sources in params.yaml, which need not
    exist; what it says of a source of the same path holds.
    """
    if not only_check and (files or page):
        raise UsageError("FILES and --report go with --check: a dataset is made of prepare.sources in params.yaml")
    without_params = only_check and files and not params_path.exists()
    params = Params() if without_params else load_params(params_path)
    if only_check:
        _check(params, base_out, page, files)
    else:
        _run(params, base_out, out)


def _run(params: Params, base_out: Path, out: Path) -> None:
    from serin.base import stage as base_stage
    from serin.clients.files import read_json
    from serin.prepare import stage

    base = base_stage.load(base_out)
    with progress_bar("prepare") as bar:
        manifest = stage.run(params.prepare, base.folder, base.digest, out, bar, params.storage.endpoint_url)
    report = read_json(out / "quality.json")
    click.echo(f"dataset {manifest.digest[:12]}: {_counts(report)}")
    click.echo(f"rejected: {_reasons(report)}; see {out / 'quality.html'} and {out / 'rejected.jsonl'}")
    for says in _misses(report):
        click.echo(f"gate: no: {says}; 'serin train' will refuse this dataset", err=True)


def _check(params: Params, base_out: Path, page: Path | None, files: tuple[str, ...]) -> None:
    from serin.base import stage as base_stage
    from serin.prepare import stage

    has_base = (base_out / base_stage.BASE_FILE).is_file()
    known = {source.path: source for source in params.prepare.sources}
    if not all(files):
        raise UsageError("FILES: '' is no file; name files, folders, globs or s3:// addresses")
    sources = [known.get(file) or SourceParams(path=file) for file in files] or params.prepare.sources
    prepare = params.prepare.model_copy(update={"sources": sources})
    with progress_bar("check") as bar:
        folder = base_stage.load(base_out).folder if has_base else None
        report = stage.check(prepare, folder, bar, page, params.storage.endpoint_url)
    for file in report["files"]:
        click.echo(
            f"{file['source']}: {file['format'] or 'no known format'}, {file['read']} records, {file['kept']} kept"
        )
    click.echo(_counts(report))
    click.echo(f"rejected: {_reasons(report)}")
    if not has_base:
        click.echo(f"lengths in tokens were not measured: {base_out} is not there; run 'serin base' first to have them")
    augmentation = report["augmentation"]
    if augmentation is not None:
        click.echo(
            f"augmentation would ask the endpoint {augmentation['requests']} times, for about {augmentation['tokens']} tokens "
            f"({augmentation['cached']} answers are cached, {augmentation['unasked']} questions are beyond the budget)"
        )
    if page is not None:
        click.echo(f"report: {page}")
    if misses := _misses(report):
        raise GateError(
            "the data's quality is not what prepare.limits ask for:\n" + "\n".join(f"  {says}" for says in misses)
        )


def _counts(report: Mapping[str, Any]) -> str:
    splits = ", ".join(f"{part['records']} {split}" for split, part in report["splits"].items())
    return f"{report['read']} records read, {report['kept']} kept ({splits})"


def _reasons(report: Mapping[str, Any]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in report["rejected"].items()) or "none"


def _misses(report: Mapping[str, Any]) -> list[str]:
    return [rule["says"] for rule in report["gate"]["rules"] if not rule["passed"]]
