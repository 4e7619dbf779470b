"""What Prometheus is told."""

from prometheus_client import generate_latest

from serin.controller.loop.metrics import Metrics
from serin.core.resources.finetune import FineTuneStatus


def shown(metrics: Metrics) -> list[str]:
    return generate_latest(metrics.registry).decode().splitlines()


def test_finetunes_are_counted_by_phase_and_no_longer_when_they_are_gone() -> None:
    metrics = Metrics()
    metrics.saw("a", "1", FineTuneStatus(phase="Running"))
    metrics.saw("b", "2", FineTuneStatus(phase="Running"))
    metrics.saw("a", "1", FineTuneStatus(phase="Succeeded"))
    assert 'serin_finetunes{phase="Running"} 1.0' in shown(metrics)
    assert 'serin_finetunes{phase="Succeeded"} 1.0' in shown(metrics)
    metrics.lost("b")
    assert 'serin_finetunes{phase="Running"} 0.0' in shown(metrics)


def test_gpu_seconds_count_what_this_process_saw_grow() -> None:
    metrics = Metrics()
    metrics.saw("a", "1", FineTuneStatus(gpu_seconds=1000))
    metrics.saw("a", "1", FineTuneStatus(gpu_seconds=1030))
    metrics.saw("a", "another", FineTuneStatus(gpu_seconds=2000))
    assert "serin_gpu_seconds_total 30.0" in shown(metrics)
