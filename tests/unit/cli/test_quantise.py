"""``serin quantise``: what it refuses before anything heavy is imported, and what its help admits."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from serin.cli.quantise import command
from serin.core.errors import ConfigError, UsageError


def test_nothing_to_do_is_a_fault_of_the_command_line() -> None:
    with pytest.raises(UsageError, match="name a --scheme, or --set-up"):
        CliRunner().invoke(command, [], catch_exceptions=False)


def test_without_an_environment_the_command_that_makes_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SERIN_QUANTISE_PYTHON", raising=False)
    (tmp_path / "params.yaml").write_text("quantise: {calibration_records: 8}\n")
    with pytest.raises(ConfigError, match="run 'serin quantise --set-up'"):
        CliRunner().invoke(command, ["--scheme", "w4a16"], catch_exceptions=False)


def test_the_help_says_what_is_unproved_and_imports_nothing_heavy() -> None:
    program = (
        "import sys; from serin.cli import cli; cli(['quantise', '--help'], standalone_mode=False); "
        "assert not {'torch', 'transformers', 'botocore'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "unproved: no GPU has served it" in " ".join(done.stdout.split())
