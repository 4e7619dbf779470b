"""What Ray and vLLM are told of a revision."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from serin.clients.serving_state.serve_config import deployment_of
from serin.core.params import AutoscalingParams, RevisionParams, ServeParams
from serin.core.revision import Revision
from serin.serve.revisions.application import llm_config

REVISION = "law@" + "a" * 64


def told(on_gpu: bool = True, prefix: str | None = None, **settings: Any) -> dict[str, Any]:
    return llm_config(ServeParams(), REVISION, Path("/models/law"), RevisionParams(**settings), on_gpu, prefix)


def test_gpus_become_shards_and_a_share_of_one_takes_its_share_of_the_memory() -> None:
    assert "tensor_parallel_size" not in told()["engine_kwargs"]
    assert told(gpus=4)["engine_kwargs"]["tensor_parallel_size"] == 4
    half = told(gpus=0.5)
    assert half["placement_group_config"] == {"bundle_per_worker": {"CPU": 1, "GPU": 0.5}}
    assert half["engine_kwargs"]["gpu_memory_utilization"] == 0.45
    assert told(gpus=0.5, vllm={"gpu_memory_utilization": 0.3})["engine_kwargs"]["gpu_memory_utilization"] == 0.3


def test_a_machine_without_gpus_takes_the_cpu_whatever_was_asked_for() -> None:
    config = told(on_gpu=False, gpus=4, accelerator_type="A100")
    assert config["accelerator_config"] == {"kind": "cpu"}
    assert "accelerator_type" not in config
    assert "tensor_parallel_size" not in config["engine_kwargs"]


def test_on_the_cpu_of_this_machine_the_engine_computes_itself_on_every_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    config = told(on_gpu=False)
    cores = str(len(os.sched_getaffinity(0)))
    assert config["callback_config"]["callback_kwargs"] == {"one_process": True}
    assert config["runtime_env"]["env_vars"] == {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "OMP_NUM_THREADS": cores}
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert told(on_gpu=False)["runtime_env"]["env_vars"]["OMP_NUM_THREADS"] == "3"
    assert "runtime_env" not in told(on_gpu=False, prefix="models/law/aa")
    assert "runtime_env" not in told(on_gpu=True)


def test_replicas_are_fixed_or_come_with_the_load() -> None:
    assert told(replicas=3)["deployment_config"]["num_replicas"] == 3
    scaled = told(autoscaling=AutoscalingParams(min_replicas=1, max_replicas=4, target_ongoing=8))["deployment_config"]
    assert "num_replicas" not in scaled
    assert scaled["autoscaling_config"] == {"min_replicas": 1, "max_replicas": 4, "target_ongoing_requests": 8}


SCALED = """
import json, sys
from pathlib import Path
from serin.core.params import RevisionParams, ServeParams
from serin.serve.revisions.application import application

revision, model, *given = sys.argv[1:]
for settings in map(json.loads, given):
    made = application(ServeParams(), revision, Path(model), RevisionParams(**settings), on_gpu=False)
    deployments = [part._bound_deployment for part in (made, made._ingress_request_router)]
    print(json.dumps([[each.name, each.version, each.num_replicas] for each in deployments]))
"""


def test_another_scale_is_no_other_version_of_a_revision(tmp_path: Path) -> None:
    """Serve keeps replicas of the same version, and restarts the others (``ray.serve._private.version``)."""
    settings = [
        {"vllm": {"seed": 7}, "replicas": 1},
        {"vllm": {"seed": 7}, "replicas": 2},
        {"vllm": {"seed": 7}, "autoscaling": {"max_replicas": 2}},
        {"vllm": {"seed": 8}},
    ]
    command = [sys.executable, "-c", SCALED, REVISION, str(tmp_path), *map(json.dumps, settings)]
    environment = {**os.environ, "RAY_SERVE_LLM_ENABLE_DIRECT_STREAMING": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    one, two, scaling, other = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("[["))
    assert one[0][0] == deployment_of(Revision.parse(REVISION))
    assert (one[0][2], two[0][2]) == (1, 2)
    assert len({version for made in (one, two, scaling) for _, version, _ in made}) == 1
    assert {version for _, version, _ in other}.isdisjoint({version for _, version, _ in one})


def test_a_replica_may_finish_the_longest_request() -> None:
    assert told()["deployment_config"]["graceful_shutdown_timeout_s"] > ServeParams().request_timeout_s


@pytest.mark.parametrize("prefix", [None, "models/law/aa"])
def test_only_a_model_in_storage_is_fetched(prefix: str | None) -> None:
    callback = told(prefix=prefix)["callback_config"]
    assert callback.get("callback_kwargs") == (None if prefix is None else {"prefix": prefix})


def test_arguments_of_vllm_are_passed_on_and_those_of_serin_hold() -> None:
    arguments = told(vllm={"max_num_seqs": 8})["engine_kwargs"]
    assert arguments["max_num_seqs"] == 8
    assert arguments["middleware"] == ["serin.serve.middleware.RequireSecret"]
