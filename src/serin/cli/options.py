"""Options that several verbs share, and the loading of ``params.yaml``."""

import re
from pathlib import Path

import click
import yaml

from serin.core.errors import ConfigError, ParamsError
from serin.core.params import Params, parse_params

params_option = click.option(
    "--params",
    "params_path",
    type=click.Path(path_type=Path),
    default=Path("params.yaml"),
    show_default=True,
    help="The params file.",
)


class _Yaml12(yaml.SafeLoader):
    """YAML 1.2, as DVC reads the same file: only true and false are booleans, so that ``on:`` is a name."""


_Yaml12.yaml_implicit_resolvers = {
    first: [(tag, rule) for tag, rule in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Yaml12.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def load_params(path: Path) -> Params:
    """Read and validate a params file. Raises ConfigError (78): missing, not YAML, or with faults."""
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Yaml12)
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is missing: run where it lies, or name it with --params") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error
    if values is not None and not isinstance(values, dict):
        raise ParamsError(str(path), [f"(root) = {values!r}: must be a mapping of sections"])
    return parse_params(values, str(path))
