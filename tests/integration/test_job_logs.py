"""``serin job logs --follow`` beside a controller, S3, and pods that stream what they print over HTTP."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serin.clients.kubernetes import Cluster, open_cluster
from serin.clients.kubernetes.kinds import FINE_TUNES
from serin.clients.storage import Storage, open_storage
from serin.core.params import StorageParams
from serin.job.follow import Pace
from serin.job.logs import Logs

from ..cluster.kubelet.deposit import deposit
from ..cluster.standin import Disrupt, StandIn, Succeed, Work
from .cluster import controlled

pytestmark = pytest.mark.timeout(180)


class Followed:
    """A run whose log is followed in a thread."""

    def __init__(self, standin: StandIn, storage: Storage, params: dict[str, Any], nodes: int) -> None:
        self.standin = standin
        self.storage = storage
        self.cluster: Cluster = open_cluster(None, None, {"KUBECONFIG": str(standin.kubeconfig)})
        self.told: list[str] = []
        self.out = bytearray()
        self._come = threading.Condition()
        record = {"base.json": b'{"source": "tiny/base", "revision": "%s"}' % (b"a" * 40)}
        inputs = {"base": deposit(storage, record), "dataset": deposit(storage, {"train.jsonl": b"{}\n"})}
        run = {"stages": ["train"], "inputs": inputs, "params": {"storage": params}}
        body = {"apiVersion": FINE_TUNES.api_version, "kind": FINE_TUNES.kind, "metadata": {"name": "law"}}
        placement = {"image": "i:1", "nodes": nodes}
        self.finetune = self.cluster.create(FINE_TUNES, body | {"spec": {"run": run | {"placement": placement}}})
        self.thread = threading.Thread(target=self._follow, daemon=True)
        self.thread.start()

    def until(self, holds: Callable[[], object]) -> None:
        with self._come:
            assert self._come.wait_for(holds, 120), (bytes(self.out), self.told)

    def _write(self, data: bytes) -> None:
        with self._come:
            self.out += data
            self._come.notify_all()

    def _tell(self, line: str) -> None:
        with self._come:
            self.told.append(line)
            self._come.notify_all()

    def _follow(self) -> None:
        Logs(self.cluster, self.storage, self._write, self._tell, Pace(0.1)).follow(self.finetune, None, None)


@pytest.fixture
def follow(s3_endpoint: str, tmp_path: Path) -> Iterator[Callable[..., Followed]]:
    params = {"url": f"s3://serin/{tmp_path.name}", "endpoint_url": s3_endpoint}
    with StandIn() as standin, controlled(standin):

        def begin(*outcomes: Any, nodes: int = 1) -> Followed:
            standin.pods.script(*outcomes)
            return Followed(standin, open_storage(StorageParams(**params)), params, nodes)

        yield begin


def test_what_a_pod_prints_is_there_at_once_and_nothing_is_lost_between_it_and_its_successor(
    follow: Callable[..., Followed],
) -> None:
    followed = follow(Work(lines=("first pod",), then=Disrupt()), Work(lines=("second pod",), then=Succeed()))
    followed.until(lambda: b"first pod\n" in followed.out)
    (pod,) = followed.standin.pods.living()
    pod.printed += b"only the pod itself says this\n"
    followed.until(lambda: b"only the pod itself" in followed.out)
    pod.released = True
    followed.until(lambda: b"second pod\n" in followed.out)
    followed.standin.pods.release()
    followed.thread.join(60)
    assert not followed.thread.is_alive()
    said = bytes(followed.out).decode().splitlines()
    assert [said.count(line) for line in ("first pod", "second pod", "serin: done")] == [1, 1, 1]
    assert [line.split(", ")[1] for line in followed.told if line.startswith("==>")] == ["attempt 1", "attempt 2"]


def test_nodes_that_train_together_are_followed_side_by_side(follow: Callable[..., Followed]) -> None:
    followed = follow(Work(lines=("begun",)), nodes=2)
    followed.until(lambda: {b"[0] begun", b"[1] begun"} <= {*bytes(followed.out).splitlines()})
    for number, pod in enumerate(sorted(followed.standin.pods.living(), key=lambda pod: pod.name)):
        pod.print(f"step {number}")
    followed.until(lambda: {b"[0] step 0", b"[1] step 1"} <= {*bytes(followed.out).splitlines()})
    followed.standin.pods.release()
    followed.thread.join(60)
    assert not followed.thread.is_alive()
    assert sorted(bytes(followed.out).splitlines()) == sorted(
        line for n in (0, 1) for line in (b"[%d] begun" % n, b"[%d] step %d" % (n, n), b"[%d] serin: done" % n)
    )
    assert sum(line.startswith("==> train, attempt ") for line in followed.told) == 1
