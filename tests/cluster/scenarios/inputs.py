"""Bad input: told before a GPU is taken."""

from serin.clients.kubernetes.kinds import FINE_TUNES

from ..world import World
from .scenario import scenario


@scenario(made={})
def a_dataset_that_storage_lacks(world: World) -> None:
    body = world.finetune("law", ["train"])
    body["spec"]["run"]["inputs"]["dataset"] = "0" * 32 + ".dir"
    world.user.create(FINE_TUNES, body)
    world.until_phase("Failed")
    status, reason, message = world.condition("Accepted")
    assert (status, reason) == ("False", "DatasetMissing")
    assert "0" * 32 in message
    assert world.status()["exitCode"] == 78


@scenario(made={})
def a_base_model_that_is_not_there(world: World) -> None:
    body = world.finetune("law", ["train"])
    body["spec"]["run"]["inputs"]["base"] = "1" * 32 + ".dir"
    world.user.create(FINE_TUNES, body)
    world.until_phase("Failed")
    assert world.condition("Accepted")[:2] == ("False", "BaseMissing")


@scenario("kueue", made={})
def a_queue_that_does_not_exist(world: World) -> None:
    world.submit(stages=["train"], queue="nowhere")
    world.until_phase("Failed")
    status, reason, message = world.condition("Accepted")
    assert (status, reason) == ("False", "QueueMissing")
    assert "nowhere" in message
