"""Which serving state a verb works on."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from serin.cli import cli
from serin.cli.serving import serving_state, state_option
from serin.clients.serving_state import FolderState
from serin.clients.serving_state.cluster import ClusterState
from serin.core.errors import ParamsError, ServingError, UsageError
from serin.core.params import Params, parse_params

from ...cluster.standin import StandIn


def chosen(params: Params, *arguments: str) -> object:
    found: list[object] = []

    @click.command()
    @state_option
    def verb(state: Path) -> None:
        found.append(serving_state(params, state))

    CliRunner().invoke(verb, list(arguments), catch_exceptions=False)
    return found[0]


def on_cluster(**serve: str) -> Params:
    return parse_params(
        {"storage": {"url": "s3://bucket"}, "serve": {"executor": "kubernetes", **serve}}, "params.yaml"
    )


def test_a_folder_is_the_default() -> None:
    state = chosen(Params(), "--state", "elsewhere")
    assert isinstance(state, FolderState)
    assert state.folder.name == "elsewhere"


def test_params_may_name_a_rayservice(monkeypatch: pytest.MonkeyPatch) -> None:
    with StandIn(auto=False) as api:
        monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig))
        state = chosen(on_cluster(rayservice="other"))
        assert isinstance(state, ClusterState)
        assert state.name == "RayService serin/other"
        assert not state.serves()


def test_a_folder_and_a_cluster_at_once_cannot_be() -> None:
    with pytest.raises(UsageError, match="--state"):
        chosen(on_cluster(), "--state", "elsewhere")


@pytest.mark.parametrize(
    ("arguments", "instead"),
    [
        (["rollout", "start", "law@3f9a1c20"], "apply a ModelRollout"),
        (["experiment", "start", "law@3f9a1c20"], "a cluster has no experiments"),
    ],
)
def test_what_acts_on_this_machine_alone_says_so_where_params_name_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], instead: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("{storage: {url: 's3://bucket'}, serve: {executor: kubernetes}}")
    with pytest.raises(UsageError, match=instead):
        CliRunner().invoke(cli, arguments, catch_exceptions=False)
    with pytest.raises((ServingError, UsageError), match="deploy"):  # nothing runs there
        CliRunner().invoke(cli, [*arguments, "--state", "elsewhere"], catch_exceptions=False)
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_a_cluster_needs_storage_that_its_nodes_reach() -> None:
    with pytest.raises(ParamsError, match="revisions there fetch their models"):
        parse_params({"serve": {"executor": "kubernetes"}}, "params.yaml")
