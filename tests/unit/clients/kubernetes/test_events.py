"""Events as ``kubectl describe`` shows them."""

import os
from datetime import UTC, datetime

from serin.clients.kubernetes import open_cluster
from serin.clients.kubernetes.events import Event, Events
from serin.clients.kubernetes.kinds import EVENTS

from ....cluster.standin import StandIn

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
FINETUNE = {
    "apiVersion": "serin.dev/v1alpha1",
    "kind": "FineTune",
    "metadata": {"name": "law", "uid": "1234", "namespace": "serin"},
}


def test_the_same_event_again_raises_a_count_and_another_one_is_its_own() -> None:
    with StandIn(auto=False) as api:
        cluster = open_cluster(None, None, {**os.environ, "KUBECONFIG": str(api.kubeconfig)})
        for identity in ("before", "restarted", "restarted"):
            Events(cluster, identity).tell(FINETUNE, Event("Warning", "OOMKilled", "it took 40 GiB"), NOW)
        Events(cluster, "restarted").tell(FINETUNE, Event("Warning", "OOMKilled", "it took 41 GiB"), NOW)
        found = {each["note"]: each for each in cluster.list(EVENTS)[0]}
        assert found["it took 40 GiB"]["series"]["count"] == 3
        assert "series" not in found["it took 41 GiB"]
        assert found["it took 41 GiB"]["regarding"]["name"] == "law"
        cluster.transport.close()


def test_an_event_that_cannot_be_written_stops_nothing() -> None:
    with StandIn(auto=False) as api:
        cluster = open_cluster(None, None, {**os.environ, "KUBECONFIG": str(api.kubeconfig_of("nobody", []))})
        Events(cluster, "c").tell(FINETUNE, Event("Normal", "Running", "train runs"), NOW)
        assert [(call.verb, call.code) for call in api.calls] == [("create", 403)]
        cluster.transport.close()


def test_a_long_message_is_cut_to_what_kubernetes_takes() -> None:
    with StandIn(auto=False) as api:
        cluster = open_cluster(None, None, {**os.environ, "KUBECONFIG": str(api.kubeconfig)})
        Events(cluster, "c").tell(FINETUNE, Event("Normal", "Running", "x" * 5000), NOW)
        assert len(cluster.list(EVENTS)[0][0]["note"]) == 1024
        cluster.transport.close()
