"""Keys as their owners and the file have them."""

import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from serin.cli import cli
from serin.core.errors import ConfigError
from serin.serve.gateway.access.key_file import KeyFile, WatchedKeys
from serin.serve.gateway.access.keys import KeyRing, Keys, Limits, new_key

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def ring_of(*keys: object) -> KeyRing:
    return KeyRing.of(Keys.model_validate({"keys": keys}))


def test_a_key_is_found_and_its_secret_is_not_kept() -> None:
    text, key = new_key("web", ["inference"], Limits(), NOW, None)
    assert ring_of(key).find(text, NOW) == key
    secret = text.rpartition("-")[2]
    assert secret not in key.model_dump_json()


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1], lambda t: t + "A", lambda t: t.upper(), lambda _: "", lambda _: "\ud800"]
)
def test_nearly_a_key_is_none(change: object) -> None:
    text, key = new_key("web", ["inference"], Limits(), NOW, None)
    assert ring_of(key).find(change(text), NOW) is None  # type: ignore[operator]


def test_the_hash_in_the_file_opens_nothing() -> None:
    _, key = new_key("web", ["inference"], Limits(), NOW, None)
    assert ring_of(key).find(key.sha256, NOW) is None


def test_a_key_ends_when_it_expires() -> None:
    text, key = new_key("web", ["inference"], Limits(), NOW, NOW + timedelta(days=1))
    ring = ring_of(key)
    assert ring.find(text, NOW + timedelta(hours=23)) == key
    assert ring.find(text, NOW + timedelta(days=1)) is None


def test_the_command_line_makes_lists_and_revokes(tmp_path: Path) -> None:
    file = str(tmp_path / "keys.json")
    made = CliRunner().invoke(cli, ["keys", "create", "web", "--requests-per-minute", "60", "--file", file])
    assert made.exit_code == 0, made.output
    text = made.stdout.strip()
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600  # noqa: PTH116 - a string here
    assert text.rpartition("-")[2] not in Path(file).read_text()
    listed = CliRunner().invoke(cli, ["keys", "list", "--file", file]).stdout
    assert "web" in listed
    assert "requests per minute 60" in listed
    assert text not in listed
    watched = WatchedKeys(KeyFile(Path(file)))
    assert watched.ring.find(text, datetime.now(UTC)) is not None
    gone = CliRunner().invoke(cli, ["keys", "revoke", "web", "--file", file])
    assert gone.exit_code == 0, gone.output
    watched.poll()
    assert watched.ring.find(text, datetime.now(UTC)) is None


def test_an_unknown_or_ambiguous_name_revokes_nothing(tmp_path: Path) -> None:
    file = str(tmp_path / "keys.json")
    for _ in range(2):
        CliRunner().invoke(cli, ["keys", "create", "web", "--file", file])
    before = Path(file).read_bytes()
    for name, said in [("web", "2 keys"), ("other", "names no key")]:
        result = CliRunner().invoke(cli, ["keys", "revoke", name, "--file", file])
        assert said in str(result.exception), result.output
    assert Path(file).read_bytes() == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "Invalid JSON"),
        ('{"keys": [{"id": "x"}]}', "keys.0"),
        ('{"keys": [], "more": 1}', "more"),
        ("[]", "file"),
    ],
)
def test_a_damaged_file_says_where(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        KeyFile(path).read()


def test_keys_in_force_outlive_a_damaged_or_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    text, key = new_key("web", ["inference"], Limits(), NOW, None)
    KeyFile(path).change(lambda keys: keys.with_key(key))
    watched = WatchedKeys(KeyFile(path))
    path.write_text("{")
    watched.poll()
    assert watched.ring.find(text, NOW) == key
    path.unlink()
    watched.poll()
    assert watched.ring.find(text, NOW) == key


def test_a_mounted_secret_is_followed_when_its_link_is_swapped(tmp_path: Path) -> None:
    texts = []
    for version in ("1", "2"):
        text, key = new_key("web", ["inference"], Limits(), NOW, None)
        texts.append(text)
        (tmp_path / version).mkdir()
        (tmp_path / version / "keys.json").write_text(json.dumps({"keys": [json.loads(key.model_dump_json())]}))
    link = tmp_path / "data"
    link.symlink_to("1")
    watched = WatchedKeys(KeyFile(link / "keys.json"))
    assert watched.ring.find(texts[0], NOW) is not None
    (tmp_path / "next").symlink_to("2")
    (tmp_path / "next").replace(link)
    watched.poll()
    assert watched.ring.find(texts[0], NOW) is None
    assert watched.ring.find(texts[1], NOW) is not None
