"""``serin evaluate``."""

import os
from pathlib import Path

import click

from serin.cli.options import load_params, params_option
from serin.cli.progress import progress_bar
from serin.core.errors import GateError, UsageError

_FOLDER = click.Path(path_type=Path)


@click.command("evaluate")
@params_option
@click.option("--base", "base_out", type=_FOLDER, default=Path("artifacts/base"), show_default=True)
@click.option("--dataset", type=_FOLDER, default=Path("artifacts/dataset"), show_default=True)
@click.option("--out", type=_FOLDER, default=Path("artifacts/evaluation"), show_default=True)
@click.option(
    "--merged", type=_FOLDER, help="The candidate: a pointer of merge or quantise.  [default: artifacts/merged]"
)
@click.option("--adapter", type=_FOLDER, help="The candidate: an adapter, on the base that it was trained on.")
@click.option("--model", "folder", type=_FOLDER, help="The candidate: a folder in Hugging Face format.")
@click.option("--endpoint", metavar="URL", help="Where the candidate is served; its answers then come from there.")
@click.option("--endpoint-model", metavar="NAME", help="The model to ask for there.")
@click.option("--endpoint-key", metavar="VARIABLE", help="The environment variable that holds the key.")
@click.option("--gate", is_flag=True, help="Exit 3 if the verdict is no.")
@click.option("--pin", metavar="STAGE", help="Write the revision of a stage, such as production, to evaluate.against.")
@click.option(
    "--human", type=click.Choice(["export", "import"]), help="Sheets for people to compare answers, and back."
)
@click.option(
    "--people", type=_FOLDER, default=Path("people"), show_default=True, help="Folder of the sheets and the key."
)
@click.option(
    "--raters", type=click.IntRange(1, 100), default=2, show_default=True, help="Sheets, one for each person."
)
@click.option("--questions", type=click.IntRange(1), default=50, show_default=True, help="Questions of a sheet.")
@click.option("--over", default="base", show_default=True, help="The model that people compare the candidate with.")
@click.option("--partial", is_flag=True, help="Take ratings of sheets that are not finished.")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
def command(
    params_path: Path,
    base_out: Path,
    dataset: Path,
    out: Path,
    merged: Path | None,
    adapter: Path | None,
    folder: Path | None,
    endpoint: str | None,
    endpoint_model: str | None,
    endpoint_key: str | None,
    gate: bool,
    pin: str | None,
    human: str | None,
    people: Path,
    raters: int,
    questions: int,
    over: str,
    partial: bool,
    files: tuple[Path, ...],
) -> None:
    """Compare a candidate with its base and with production on held-out questions, and judge it.

    FILES are the ratings that --human import reads.
    """
    params = load_params(params_path)
    if files and human != "import":
        raise UsageError(
            f"{files[0]}: files are for --human import; the candidate is named with --merged, --adapter or --model"
        )
    if human is not None:
        from serin.cli.human import export, import_

        if human == "export":
            export(params.evaluate, out, people, questions, raters, over)
        else:
            import_(params.evaluate, out, people, files, partial)
        return
    if pin is not None:
        from serin.project.pin import pin_stage

        click.echo(f"{params_path}: evaluate.against is {pin_stage(params, params_path, pin)}")
        return

    from serin.base import stage as base_stage
    from serin.clients.files import read_json
    from serin.clients.runs import runs_folder
    from serin.clients.storage import open_storage
    from serin.evaluate import stage
    from serin.evaluate.answers.served import Address
    from serin.evaluate.report.summary import summary
    from serin.evaluate.subject import Candidate, base_of, candidate_of, production_of

    if sum(named is not None for named in (merged, adapter, folder)) > 1:
        raise UsageError("--merged, --adapter and --model name one candidate each: give one of them")
    if (endpoint is None) != (endpoint_model is None):
        raise UsageError("--endpoint and --endpoint-model go together: where to ask, and for what")
    if endpoint is not None and adapter is not None:
        raise UsageError("--endpoint asks a model that is served: name it with --merged or --model")
    address = None
    if endpoint is not None and endpoint_model is not None:
        address = Address(endpoint, endpoint_model, os.environ.get(endpoint_key, "") if endpoint_key else "none")
    if merged is None and adapter is None and folder is None and address is None:
        merged = Path("artifacts/merged")
    base = base_stage.load(base_out)
    storage = open_storage(params.storage)
    named = Candidate(merged, adapter, folder, address)
    candidate = candidate_of(params.evaluate, named, base.folder, base.digest, storage)
    production = production_of(params.evaluate, storage)
    subjects = [
        candidate,
        base_of(params.evaluate, base.folder, base.digest, base.model),
        *([production] if production else []),
    ]
    with progress_bar("evaluate") as bar:
        verdict = stage.run(
            params.evaluate,
            subjects,
            dataset,
            runs_folder(os.environ) / "answers",
            out,
            lambda model, done, total: bar(done, total, model),
            os.environ,
        )
    for line in summary(read_json(out / "metrics.json"), verdict, candidate.called):
        click.echo(line)
    click.echo(f"every figure and the worst answers: {out / 'evaluation.html'}")
    if gate and not verdict.passed:
        raise GateError("; ".join(verdict.missed) or "no rule applied")
