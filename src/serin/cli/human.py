"""``serin evaluate --human``: sheets for people who compare answers, and what they returned."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from serin.core.errors import UsageError
from serin.core.params import EvaluateParams

_SECRET_BYTES = 32
_OPTIONS = (
    click.option(
        "--human", type=click.Choice(["export", "import"]), help="Sheets for people to compare answers, and back."
    ),
    click.option(
        "--people",
        type=click.Path(path_type=Path),
        default=Path("people"),
        show_default=True,
        help="Folder of the sheets and the key.",
    ),
    click.option(
        "--raters", type=click.IntRange(1, 100), default=2, show_default=True, help="Sheets, one for each person."
    ),
    click.option("--questions", type=click.IntRange(1), default=50, show_default=True, help="Questions of a sheet."),
    click.option("--over", default="base", show_default=True, help="The model that people compare the candidate with."),
    click.option("--partial", is_flag=True, help="Take ratings of sheets that are not finished."),
    click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False)),
)


@dataclass(frozen=True, slots=True)
class Sheets:
    """What the options say of sheets: to write them or to read them back, or nothing."""

    human: str | None
    people: Path
    raters: int
    questions: int
    over: str
    partial: bool
    files: tuple[Path, ...]

    def are_asked(self) -> bool:
        """Whether this is about sheets. Raises UsageError where there are files of ratings, and it is not to read them."""
        if self.files and self.human != "import":
            raise UsageError(
                f"{self.files[0]}: files are for --human import; the candidate is named with --merged, --adapter or --model"
            )
        return self.human is not None

    def run(self, params: EvaluateParams, evaluation: Path) -> None:
        """Write the sheets from an evaluation, or read what people returned.

        Raises:
            UsageError: the folder holds something already, or there is nothing to compare, or nothing to read.
            InputError: no evaluation, no key, or faults in the ratings, all of them at once.
        """
        if self.human == "export":
            self._export(params, evaluation)
        else:
            self._import(params, evaluation)

    def _export(self, params: EvaluateParams, evaluation: Path) -> None:
        """A new folder of sheets and their key from the answers of an evaluation."""
        from serin.evaluate.human.export import export_sheets

        secret = secrets.token_bytes(_SECRET_BYTES)
        written = export_sheets(
            evaluation, self.people, self.questions, self.raters, params.judge.criteria, secret, self.over
        )
        click.echo(
            f"{written.sheets}: for each of {self.raters} people a form (.html) and a spreadsheet (.csv) of the same "
            "questions"
        )
        click.echo(f"{written.key}: keep it to yourself, it says whose answers they are")
        if written.same:
            click.echo(
                f"{written.same} of {written.questions} questions got the same answer twice and stand in no sheet: ties"
            )
        click.echo(f"afterwards: serin evaluate --human import --people {self.people} FILES…")

    def _import(self, params: EvaluateParams, evaluation: Path) -> None:
        """What people returned, into ``human.json`` beside the key, and the evaluation's page with it."""
        from serin.clients.files import write_atomically, write_json
        from serin.evaluate.human.key import KEY
        from serin.evaluate.human.result import import_ratings
        from serin.evaluate.report.rated import render_rated

        if not self.files:
            raise UsageError(
                "which ratings? serin evaluate --human import FILES…: the forms' files or the filled spreadsheets"
            )
        result = import_ratings(self.files, self.people / KEY, params, self.partial)
        page = render_rated(evaluation, result.as_dict())
        write_json(self.people / "human.json", result.as_dict())
        write_atomically(self.people / "evaluation.html", page.encode())
        for name, opinion in result.slices.items():
            alpha = "not defined" if opinion.alpha is None else f"{opinion.alpha:.2f}"
            click.echo(
                f"{name:<20} win rate {opinion.win_rate:.3f} [{opinion.ci_low:.3f}, {opinion.ci_high:.3f}] over "
                f"{result.over}, {opinion.questions} questions, agreement (Krippendorff's alpha) {alpha}"
            )
        click.echo(f"all of it: {self.people / 'human.json'}, and {self.people / 'evaluation.html'} to look at")


def sheet_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options, and what they say as its argument ``sheets``."""

    @wraps(command)
    def collected(  # one argument an option
        human: str | None,
        people: Path,
        raters: int,
        questions: int,
        over: str,
        partial: bool,
        files: tuple[Path, ...],
        **others: Any,
    ) -> None:
        command(sheets=Sheets(human, people, raters, questions, over, partial, files), **others)

    for option in reversed(_OPTIONS):
        collected = option(collected)
    return collected
