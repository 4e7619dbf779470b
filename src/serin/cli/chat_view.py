"""How ``serin chat`` shows answers: as text for pipes, and on a terminal as they are written, several side by side."""

from collections.abc import Sequence

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from serin.evaluate.chat.talk import View


def view_for(console: Console, names: Sequence[str]) -> View:
    """What suits the console and the number of models."""
    if not console.is_terminal:
        return PlainView(names)
    return TerminalView(console) if len(names) == 1 else SideBySide(console, names)


class PlainView:
    """Whole answers on standard output, with the model's name where there are several."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def start(self) -> None:
        """See ``View``."""

    def piece(self, speaker: int, text: str) -> None:
        """See ``View``."""

    def finish(self, answers: Sequence[str] | None) -> None:
        """See ``View``."""
        for name, answer in zip(self._names, answers or (), strict=False):
            click.echo(answer if len(self._names) == 1 else f"{name}: {answer}")

    def note(self, text: str) -> None:
        """See ``View``."""
        click.echo(text, err=True)


class TerminalView:
    """One model's answer as it is written."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def start(self) -> None:
        """See ``View``."""

    def piece(self, speaker: int, text: str) -> None:  # noqa: ARG002 - the interface's; there is one
        """See ``View``."""
        self._console.print(Text(text), end="", soft_wrap=True)

    def finish(self, answers: Sequence[str] | None) -> None:  # noqa: ARG002 - the interface's; all of it was shown
        """See ``View``."""
        self._console.print("\n")

    def note(self, text: str) -> None:
        """See ``View``."""
        self._console.print(Text(text, style="dim"))


class SideBySide:
    """Several models' answers in columns, all of them as they are written."""

    def __init__(self, console: Console, names: Sequence[str]) -> None:
        self._console = console
        self._names = names
        self._said = [""] * len(names)
        self._live: Live | None = None

    def start(self) -> None:
        """See ``View``."""
        self._said = [""] * len(self._names)
        self._live = Live(self._columns(), console=self._console, vertical_overflow="visible")
        self._live.start()

    def piece(self, speaker: int, text: str) -> None:
        """See ``View``."""
        self._said[speaker] += text
        if self._live is not None:
            self._live.update(self._columns())

    def finish(self, answers: Sequence[str] | None) -> None:
        """See ``View``."""
        self._said = list(answers or self._said)
        if self._live is not None:
            self._live.update(self._columns())
            self._live.stop()
        self._console.print()

    def note(self, text: str) -> None:
        """See ``View``."""
        self._console.print(Text(text, style="dim"))

    def _columns(self) -> Table:
        table = Table.grid(expand=True, padding=(0, 4, 0, 0))
        for _ in self._names:
            table.add_column(ratio=1, overflow="fold")
        table.add_row(*(Text(name, style="bold") for name in self._names))
        table.add_row(*map(Text, self._said))
        return table
