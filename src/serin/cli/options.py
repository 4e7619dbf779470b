"""Options that several verbs share, and the loading of ``params.yaml``."""

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


def load_params(path: Path) -> Params:
    """Read and validate a params file. Raises ConfigError (78): missing, not YAML, or with faults."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is missing: run where it lies, or name it with --params") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error
    if values is not None and not isinstance(values, dict):
        raise ParamsError(str(path), [f"(root) = {values!r}: must be a mapping of sections"])
    return parse_params(values, str(path))
