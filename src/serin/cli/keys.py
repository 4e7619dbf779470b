"""``serin keys``: create, list, revoke."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from serin.serve.gateway.access.keys import ApiKey, Keys

file_option = click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path(".serin/keys.json"),
    show_default=True,
    help="The file of keys; serve.access.keys names it to the gateway.",
)


@click.group("keys")
def command() -> None:
    """Make and revoke the API keys that the gateway asks for; it follows the file without a restart."""


@command.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(["inference", "feedback", "override", "admin"]),
    default=["inference", "feedback"],
    show_default=True,
    help="What it may do; repeat for several.",
)
@click.option("--requests-per-minute", type=click.FloatRange(min=0, min_open=True), help="No limit where left out.")
@click.option("--tokens-per-minute", type=click.FloatRange(min=0, min_open=True), help="Prompts and answers together.")
@click.option("--max-in-flight", type=click.IntRange(min=1), help="Requests at a time.")
@click.option("--max-body-bytes", type=click.IntRange(min=1), help="Longest request.")
@click.option("--max-output-tokens", type=click.IntRange(min=1), help="Longest answer.")
@click.option("--days", type=click.FloatRange(min=0, min_open=True), help="It expires after so many days.")
@file_option
def create(
    name: str,
    scopes: tuple[str, ...],
    requests_per_minute: float | None,
    tokens_per_minute: float | None,
    max_in_flight: int | None,
    max_body_bytes: int | None,
    max_output_tokens: int | None,
    days: float | None,
    path: Path,
) -> None:
    """Make a key for NAME and print it, this once: the file keeps its hash alone."""
    from serin.serve.gateway.access.key_file import KeyFile
    from serin.serve.gateway.access.keys import SCOPES, Limits, new_key

    limits = Limits(
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        max_in_flight=max_in_flight,
        max_body_bytes=max_body_bytes,
        max_output_tokens=max_output_tokens,
    )
    now = datetime.now(UTC).replace(microsecond=0)
    given = [scope for scope in SCOPES if scope in scopes]
    text, key = new_key(name, given, limits, now, None if days is None else now + timedelta(days=days))
    KeyFile(path).change(lambda keys: keys.with_key(key))
    click.echo(f"key {key.id} for {name}; it is shown this once:", err=True)
    click.echo(text)


@command.command("list")
@file_option
def list_keys(path: Path) -> None:
    """Show the keys of the file, without their secrets."""
    from serin.serve.gateway.access.key_file import KeyFile

    now = datetime.now(UTC)
    keys = KeyFile(path).read().keys
    for key in keys:
        click.echo(_line(key, now))
    if not keys:
        click.echo(f"{path} holds no keys: 'serin keys create NAME' makes one", err=True)


@command.command()
@click.argument("key")
@file_option
def revoke(key: str, path: Path) -> None:
    """Take a KEY, by its id or a name that no other has, out of the file; the gateway refuses it within a second."""
    from serin.core.errors import UsageError
    from serin.serve.gateway.access.key_file import KeyFile

    revoked: list[str] = []

    def without(keys: "Keys") -> "Keys":
        found = [each for each in keys.keys if key in (each.id, each.name)]
        if len(found) != 1:
            many = "names no key" if not found else f"names {len(found)} keys ({', '.join(k.id for k in found)})"
            raise UsageError(f"{key} {many} of {path}: give an id that 'serin keys list' shows")
        revoked.append(found[0].id)
        return keys.without(found[0].id)

    KeyFile(path).change(without)
    click.echo(f"key {revoked[0]} is revoked")


def _line(key: "ApiKey", now: datetime) -> str:
    limits = ", ".join(
        f"{name.replace('_', ' ')} {value:g}" for name, value in key.limits.model_dump(exclude_none=True).items()
    )
    if key.expires is None:
        ends = "does not expire"
    else:
        ends = f"{'expired' if key.expires <= now else 'expires'} {key.expires:%Y-%m-%d %H:%M} UTC"
    return f"{key.id}  {key.name}  {'+'.join(sorted(key.scopes))}  {limits or 'no limits'}  {ends}"
