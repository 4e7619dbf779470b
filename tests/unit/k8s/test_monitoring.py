"""Dashboard and alerts ask for figures that the gateway really has, with labels that these really bear."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry

from serin.core.params import TelemetryParams
from serin.serve.gateway.telemetry.metrics import GatewayMetrics

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "k8s/components/telemetry"
_METRIC = re.compile(r"(serin_\w+)(?:\{([^}]*)\})?")
_ENDS = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


def expressions() -> Iterator[str]:
    for panel in json.loads((FOLDER / "gateway.json").read_text())["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["spec"]["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


def metrics() -> dict[str, set[str]]:
    """Every series and its labels."""
    known = {}
    made = vars(GatewayMetrics(CollectorRegistry())).values()
    for metric in made:
        if hasattr(metric, "_labelnames"):
            for end in _ENDS[metric._type]:
                known[f"{metric._name}{end}"] = {*metric._labelnames, *(["le"] if end == "_bucket" else [])}
    return known


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_an_expression_asks_for_what_is_there(expression: str) -> None:
    known = metrics()
    found = _METRIC.findall(expression)
    assert found
    for name, selector in found:
        assert set(re.findall(r"(\w+)\s*[!=]", selector)) <= known[name]
    labels = {label for _, by in re.findall(r"(\w+) by \(([^)]*)\)|$^", expression) for label in by.split(", ")}
    assert labels <= set.union(*(known[name] for name, _ in found))


def test_every_figure_is_on_the_dashboard() -> None:
    shown = {name for panel in [(FOLDER / "gateway.json").read_text()] for name, _ in _METRIC.findall(panel)}
    for name in {re.sub("_(total|bucket|sum|count)$", "", name) for name in metrics()}:
        assert any(each.startswith(name) for each in shown), name


def test_panels_do_not_overlap_and_ids_differ() -> None:
    panels = json.loads((FOLDER / "gateway.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)


def test_the_port_is_the_one_that_params_give_by_default() -> None:
    text = (ROOT / "k8s/serving/rayservice.yaml").read_text()
    assert f"{{name: metrics, containerPort: {TelemetryParams().metrics_port}}}" in text
