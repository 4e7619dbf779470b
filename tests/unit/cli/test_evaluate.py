"""The command line of ``serin evaluate``: which options go together, and what candidate they name."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from serin.cli.candidate import Named
from serin.cli.evaluate import command
from serin.core.errors import UsageError
from serin.evaluate.subject import Candidate


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ratings.csv"], "ratings.csv: files are for --human import"),
        (["--human", "export", "ratings.csv"], "ratings.csv: files are for --human import"),
        (["--human", "import"], "which ratings?"),
        (["--merged", "a", "--adapter", "b"], "name one candidate each"),
        (["--endpoint", "http://127.0.0.1:1/v1"], "--endpoint and --endpoint-model go together"),
        (["--endpoint-model", "m"], "--endpoint and --endpoint-model go together"),
        (["--endpoint", "http://127.0.0.1:1/v1", "--endpoint-model", "m", "--adapter", "a"], "a model that is served"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_loaded(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("{}")
    Path("ratings.csv").write_text("")
    done = CliRunner().invoke(command, arguments)
    assert isinstance(done.exception, UsageError)
    assert message in str(done.exception)


def test_without_an_option_the_candidate_is_what_merge_wrote() -> None:
    assert Named(None, None, None, None, None, None).candidate() == Candidate(merged=Path("artifacts/merged"))


def test_the_key_of_an_endpoint_comes_from_the_variable_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "secret")
    candidate = Named(None, None, Path("m"), "http://127.0.0.1:1/v1", "law-qa", "MY_KEY").candidate()
    assert candidate.folder == Path("m")
    address = candidate.address
    assert address is not None
    assert (address.url, address.model, address.key) == ("http://127.0.0.1:1/v1", "law-qa", "secret")
