"""A controller that starts anew beside what another one left: where nothing has changed, it writes nothing."""

import json
from collections.abc import Callable, Iterator
from typing import cast

import pytest

from serin.clients.kubernetes import Cluster
from serin.clients.storage import Storage
from serin.core.task import prefix_of, progress_key

from ....cluster.direct import DirectTransport
from ....cluster.memory import Moody
from ....cluster.simulated import Simulated
from ....cluster.standin import Exit, ImagePull, StandIn, Succeed, Unschedulable, Work
from ....cluster.stepped import Process
from ....cluster.world import World


class Lives:
    """One life of the controller after another, beside the same cluster."""

    def __init__(self, api: StandIn, storage: Moody) -> None:
        self.api = api
        self.storage = storage
        self.begin()

    def begin(self) -> None:
        """Remember nothing."""
        cluster = Cluster(DirectTransport(self.api, "controller"), self.api.namespace)  # type: ignore[arg-type]
        self.process = Process(cluster, cast(Storage, self.storage), self.api.clock.now)

    def turn(self) -> None:
        self.process.turn()
        self.api.step()
        self.api.clock.advance(1.0)


def running_with_progress(world: World, _: Moody) -> None:
    world.pods.script(Work(), stage="train")
    made = world.submit(stages=["train"])["metadata"]
    world.until_running()
    told = {"step": 5, "steps": 10, "loss": 1.5, "seconds_left": 30.0}
    key = progress_key(prefix_of(made["namespace"], made["name"], made["uid"], "train"))
    world.storage.write(key, json.dumps(told).encode())
    world.until(lambda: world.status().get("secondsLeft") == 30.0, "its progress is told")


def without_a_node(world: World, _: Moody) -> None:
    world.pods.script(Unschedulable(), stage="train")
    world.submit(stages=["train"])
    world.until(lambda: world.condition("Running")[1] == "Unschedulable", "it waits for a node")


def without_an_image(world: World, _: Moody) -> None:
    world.pods.script(ImagePull(), stage="train")
    world.submit(stages=["train"])
    world.until(lambda: world.condition("Running")[1] == "ImagePull", "it waits for its image")


def two_nodes(world: World, _: Moody) -> None:
    world.pods.script(Work(), stage="train")
    world.submit(stages=["train"], nodes=2)
    world.until_running()


def in_a_queue(world: World, _: Moody) -> None:
    world.queues.make("gpus")
    world.pods.script(Work(), stage="train")
    world.submit(stages=["train"], queue="gpus")
    world.until_running()


def suspended(world: World, _: Moody) -> None:
    world.pods.script(Work(), stage="train")
    world.submit(stages=["train"])
    world.until_running()
    world.suspend("law", True)
    world.until_phase("Suspended")


def silent_before_it_was_accepted(world: World, storage: Moody) -> None:
    world.submit(stages=["train"])
    storage.silent = True
    world.until(lambda: world.condition("Accepted")[1] == "NoAnswer", "storage does not answer")


def silent_between_two_stages(world: World, storage: Moody) -> None:
    world.pods.script(Work(), stage="train")
    world.submit(stages=["train", "merge"])
    world.until_running()
    storage.silent = True
    world.until(lambda: world.condition("StorageUnreachable")[0] == "True", "storage does not answer")


def succeeded(world: World, _: Moody) -> None:
    world.submit()
    world.until_phase("Succeeded")


def failed(world: World, _: Moody) -> None:
    world.pods.script(Exit(code=78, message="train.lora.r = 0"), stage="train")
    world.submit(stages=["train"])
    world.until_phase("Failed")


def stopped_by_the_gate(world: World, _: Moody) -> None:
    world.pods.script(Succeed(passed=False, missed=["answers.f1 0.31 < 0.40"]), stage="evaluate")
    world.submit()
    world.until_phase("Failed")


STATES = [
    running_with_progress,
    without_a_node,
    without_an_image,
    two_nodes,
    in_a_queue,
    suspended,
    silent_before_it_was_accepted,
    silent_between_two_stages,
    succeeded,
    failed,
    stopped_by_the_gate,
]


@pytest.fixture
def storage() -> Moody:
    return Moody()


@pytest.fixture
def world(storage: Moody) -> Iterator[World]:
    with StandIn(auto=False, served=False, storage_of=lambda _: cast(Storage, storage)) as api:
        api.access.rules["controller"] = None
        user = Cluster(DirectTransport(api), api.namespace)  # type: ignore[arg-type]
        lives = Lives(api, storage)
        yield World(user, Simulated(api), cast(Storage, storage), {"url": "s3://serin/p"}, lives, turns=200)


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_it_writes_nothing_where_nothing_has_changed(
    state: Callable[[World, Moody], None], world: World, storage: Moody
) -> None:
    assert isinstance(world.controller, Lives)
    api = world.controller.api
    state(world, storage)
    world.rest(45)  # so that what is said after a while, such as that there is no pod, has been said
    before = len(api.calls)
    status = world.status()
    world.controller.begin()
    world.rest(20)
    calls = [call for call in api.calls[before:] if call.token == "controller"]
    assert calls
    assert [call for call in calls if call.verb not in ("get", "list", "watch")] == []
    assert world.status() == status
