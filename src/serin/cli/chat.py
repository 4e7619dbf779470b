"""``serin chat``."""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from serin.cli.options import load_params, params_option
from serin.core.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from serin.clients.streaming import Server
    from serin.evaluate.chat.speaker import Speaker


@dataclass(frozen=True, slots=True)
class Source:
    """A model on this disk: a folder, with an adapter where that is the base's."""

    folder: Path
    adapter: Path | None = None


@click.command("chat")
@params_option
@click.option("--base", "base_out", type=click.Path(path_type=Path), default=Path("artifacts/base"), show_default=True)
@click.option("--adapter", type=click.Path(path_type=Path), help="Talk to this adapter on the base, as it was trained.")
@click.option("--merged", type=click.Path(path_type=Path), help="Talk to the merged model that this pointer names.")
@click.option("--model", help="Talk to a model folder, or to a published revision (name@digest).")
@click.option("--endpoint", help="Talk to an OpenAI-compatible endpoint, such as http://127.0.0.1:8000/v1.")
@click.option("--endpoint-model", help="With --endpoint: the model to ask for, where it has several.")
@click.option("--key-env", default="OPENAI_API_KEY", show_default=True, help="The variable that holds its key.")
@click.option("--beside-base", is_flag=True, help="Ask the base too, and show both answers side by side.")
@click.option("--system", default="", help="What the model should be, in the words of a system prompt.")
@click.option(
    "--temperature", type=click.FloatRange(0, 2), default=0.0, show_default=True, help="0: always the likeliest."
)
@click.option("--max-new-tokens", type=click.IntRange(1), default=512, show_default=True, help="Longest answer.")
def command(
    params_path: Path,
    base_out: Path,
    adapter: Path | None,
    merged: Path | None,
    model: str | None,
    endpoint: str | None,
    endpoint_model: str | None,
    key_env: str,
    beside_base: bool,
    system: str,
    temperature: float,
    max_new_tokens: int,
) -> None:
    """Talk to an adapter, a merged model, a revision or an endpoint; by default to what was made last.

    Lines are questions, from the keyboard or a pipe; /reset begins anew, /system sets the system prompt, /quit ends.
    """
    given = [option for option in (adapter, merged, model, endpoint) if option]
    if len(given) > 1:
        raise UsageError("--adapter, --merged, --model and --endpoint exclude each other: name one")
    if endpoint_model and not endpoint:
        raise UsageError("--endpoint-model belongs to --endpoint: add it, or leave it out")
    if not given:
        adapter, merged = _made_last()

    from rich.console import Console

    from serin.cli.chat_view import view_for
    from serin.clients.endpoint import read_key
    from serin.clients.streaming import Server
    from serin.evaluate.chat.talk import talk

    speakers: list[Speaker] = []
    if endpoint:
        server = Server(endpoint, read_key(key_env, os.environ))
        speakers.append(_remote(server, endpoint_model, max_new_tokens, temperature))
    else:
        name, source = _adapted(base_out, adapter) if adapter else _find(params_path, str(merged or model))
        speakers.append(_local(name, source, max_new_tokens, temperature))
    if beside_base:
        from serin.base import stage as base_stage

        base = Source(base_stage.load(base_out).folder)
        speakers.insert(0, _local("base", base, max_new_tokens, temperature))
    click.echo(f"talking to {' and '.join(speaker.name for speaker in speakers)}", err=True)
    console = Console()
    talk(
        speakers, _lines(console.is_terminal), view_for(console, [s.name for s in speakers]), system, sys.stdin.isatty()
    )


def _made_last() -> tuple[Path | None, Path | None]:
    from serin.clients.models import POINTER

    adapter, merged = Path("artifacts/adapter"), Path("artifacts/merged")
    if (merged / POINTER).is_file():
        return None, merged
    if (adapter / "adapter_config.json").is_file():
        return adapter, None
    raise UsageError(
        f"neither {merged} nor {adapter} is there: name --adapter, --merged, --model or --endpoint, or run 'serin train'"
    )


def _lines(on_terminal: bool) -> Iterator[str]:
    """What is typed or piped in, to its end."""
    if not sys.stdin.isatty():
        yield from sys.stdin
        return
    import readline  # noqa: F401 - lends input() its keys for editing and history

    click.echo("/help shows the commands, Ctrl-C stops an answer, Ctrl-D ends", err=True)
    while True:
        try:
            yield input("> " if on_terminal else "")
        except EOFError:
            return


def _remote(server: "Server", model: str | None, max_new_tokens: int, temperature: float) -> "Speaker":
    from serin.clients.streaming import only_model
    from serin.evaluate.chat.remote import RemoteSpeaker

    model = model or only_model(server)
    return RemoteSpeaker(model, server, model, max_new_tokens, temperature)


def _local(name: str, source: Source, max_new_tokens: int, temperature: float) -> "Speaker":
    from serin.evaluate.answers.local import LocalModel
    from serin.evaluate.chat.local import LocalSpeaker

    click.echo(f"loading {name}", err=True)
    model = LocalModel(source.folder, name, max_new_tokens, batch_size=1, adapter=source.adapter)
    return LocalSpeaker(name, model.load(), max_new_tokens, temperature)


def _adapted(base_out: Path, adapter: Path) -> tuple[str, Source]:
    """What ``train`` wrote: an adapter, or with ``method: full`` a whole model."""
    from serin.base import stage as base_stage
    from serin.clients.files import read_json

    if not (adapter / "adapter_config.json").is_file():
        return _find_folder(adapter)
    base = base_stage.load(base_out)
    manifest = adapter / "manifest.json"
    trained_on = read_json(manifest)["inputs"]["base"] if manifest.is_file() else base.digest
    if trained_on != base.digest:
        raise ConfigError(
            f"{adapter} was trained on the base {trained_on[:12]}, and {base_out} is {base.digest[:12]}: name its own with "
            "--base, or train again"
        )
    return f"{adapter.name} on its base", Source(base.folder, adapter)


def _find(params_path: Path, named: str) -> tuple[str, Source]:
    """The model that a pointer or a revision names, or the folder itself."""
    from serin.clients.models import POINTER, read_pointer
    from serin.clients.storage import open_storage
    from serin.core.revision import Revision
    from serin.serve.topology.published import find_published

    if not (Path(named) / POINTER).is_file() and (Path(named).is_dir() or "@" not in named):
        return _find_folder(Path(named))
    storage = open_storage(load_params(params_path).storage)
    if Path(named).is_dir():
        pointer = read_pointer(Path(named))
        revision, prefix = Revision(pointer.name, pointer.digest), pointer.prefix
    else:
        published = find_published(storage, Revision.parse(named))
        revision, prefix = published.revision, published.prefix
    from serin.evaluate.subject import MODELS

    folder = storage.fetch_folder(prefix, MODELS / revision.digest)
    return revision.label, Source(folder)


def _find_folder(folder: Path) -> tuple[str, Source]:
    from serin.clients.models import POINTER

    if not (folder / "config.json").is_file():
        raise UsageError(
            f"{folder} holds no model: expected a folder with config.json, or with the {POINTER} of 'serin merge'"
        )
    return folder.name, Source(folder)
