"""What the command line of ``serin chat`` takes, and what it shows."""

import io
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from serin.cli.chat import command
from serin.cli.chat_view import PlainView, SideBySide, TerminalView, view_for
from serin.core.errors import ConfigError, SerinError, UsageError

from ..clients.stream_server import stream_server


def chat(*arguments: str, says: str = "") -> Result:
    return CliRunner().invoke(command, arguments, input=says)


def refused(*arguments: str) -> SerinError:
    error = chat(*arguments, says="Hi\n").exception
    assert isinstance(error, SerinError), error
    return error


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "m", "--merged", "m"], "exclude each other: name one"),
        (["--adapter", "a", "--endpoint", "http://x"], "exclude each other"),
        (["--endpoint-model", "x"], "--endpoint-model belongs to --endpoint"),
        ([], "neither artifacts/merged nor artifacts/adapter is there: name --adapter"),
        (["--model", "nowhere"], "nowhere holds no model: expected a folder with config.json"),
        (["--adapter", "nowhere"], "nowhere holds no model"),
    ],
)
def test_what_cannot_be_talked_to_is_refused(arguments: list[str], words: str) -> None:
    error = refused(*arguments)
    assert isinstance(error, UsageError)
    assert words in str(error)


def test_a_revision_needs_params_for_its_storage() -> None:
    assert isinstance(refused("--model", "law-qa@3f9a1c20"), ConfigError)
    Path("params.yaml").write_text("storage: {url: store}\n")
    assert "law-qa@3f9a1c20 is not published" in str(refused("--model", "law-qa@3f9a1c20"))


def test_a_key_that_no_key_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-…")
    error = refused("--endpoint", "http://127.0.0.1:1/v1", "--key-env", "MY_KEY")
    assert "the key in MY_KEY holds characters" in str(error)


def test_questions_come_through_a_pipe_and_answers_go_to_standard_output() -> None:
    with stream_server() as server:
        done = chat("--endpoint", server.url, "--system", "Be brief.", says="Hi\n/nope\n试用期？")
        assert done.exit_code == 0, done.exception
        assert done.stdout == "You said: Hi\nYou said: 试用期？\n"
        assert done.stderr == (
            "talking to law-qa\n"
            "/nope is no command: /help shows them; a question that begins with / is written with //\n"
        )
        assert server.asked[1]["messages"] == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "You said: Hi"},
            {"role": "user", "content": "试用期？"},
        ]


def test_a_model_of_several_is_named_and_how_it_answers_is_told() -> None:
    with stream_server() as server:
        server.models = ("a", "b")
        done = chat(
            *("--endpoint", server.url, "--endpoint-model", "b", "--temperature", "0.5", "--max-new-tokens", "7"),
            says="Hi\n",
        )
        assert done.exit_code == 0, done.exception
        (body,) = server.asked
        assert (body["model"], body["temperature"], body["max_completion_tokens"]) == ("b", 0.5, 7)


def test_the_view_suits_the_console() -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True)
    assert isinstance(view_for(Console(file=io.StringIO()), ["a"]), PlainView)
    assert isinstance(view_for(terminal, ["a"]), TerminalView)
    assert isinstance(view_for(terminal, ["a", "b"]), SideBySide)


def test_two_models_in_a_pipe_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    view = PlainView(["base", "tuned"])
    view.finish(["no", "yes"])
    view.finish(None)
    assert capsys.readouterr().out == "base: no\ntuned: yes\n"


def test_answers_stand_side_by_side_as_they_are_written() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=60, color_system=None, legacy_windows=False)
    view = SideBySide(console, ["base", "law-qa-3f9a1c20"])
    view.start()
    view.piece(0, "It depends [bold]on[/bold] much")
    view.piece(1, "试用期最长不得超过六个月。" * 3)
    view.finish(["It depends [bold]on[/bold] much", "试用期最长不得超过六个月。" * 3])
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    last = shown[shown.rindex("base") :].splitlines()
    assert last[0].split() == ["base", "law-qa-3f9a1c20"]
    assert last[1].index("试用期") > last[1].index("It depends")
    assert "[bold]on[/bold]" in shown
    assert "".join(line[-32:].strip() for line in last[1:]).replace(" ", "").count("六个月") == 3


def test_one_answer_is_shown_piece_by_piece_as_it_is() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=20, color_system=None)
    view = TerminalView(console)
    view.start()
    view.piece(0, "[bold]Six[/bold] ")
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "[bold]Six[/bold] "
    view.piece(0, "months and a lot more words")
    view.finish(["…"])
    assert console.file.getvalue() == "[bold]Six[/bold] months and a lot more words\n\n"
