"""Real components: an S3 server over HTTP, and a dataset small enough to learn in seconds."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.warm.start import Warm

from .attempts import Attempts
from .training import write_dataset


@pytest.fixture(scope="session", autouse=True)
def _vllm_in_one_process() -> Iterator[None]:
    """vLLM's engine computes itself, as on one GPU: on a CPU it would start a process for that, with imports of its own."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        yield


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """An S3 server on a free loopback port, with the bucket ``serin``; credentials stand in the environment."""
    import boto3
    from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    # moto's own server finds out for each request which of AWS's services it is for, one request after the other.
    app = create_backend_app("s3")
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=MotoRequestHandler)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "testing")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        environment.setenv("NO_PROXY", ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"])))
        url = f"http://127.0.0.1:{server.server_port}"
        boto3.client("s3", endpoint_url=url).create_bucket(Bucket="serin")
        yield url
    server.shutdown()
    serving.join()
    server.server_close()


def rows(split: str, count: int) -> list[dict[str, object]]:
    """Questions with one short answer each, so that a few steps learn them."""
    return [
        {
            "messages": [
                {"role": "user", "content": f"How long is {split} rule {i}?"},
                {"role": "assistant", "content": f"Article {i % 4 + 1}: at most six months."},
            ],
            "meta": {"id": f"{split}-{i}", "language": "en", "group": f"{split}-{i}"},
        }
        for i in range(count)
    ]


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset folder as ``prepare`` writes it."""
    folder = tmp_path_factory.mktemp("data") / "dataset"
    counts = {"train": 24, "validation": 2, "test": 6, "control": 2}
    return write_dataset(folder, **{split: rows(split, count) for split, count in counts.items()})


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """Starts processes that have everything imported."""
    starting = Warm()
    yield starting
    starting.close()


@pytest.fixture(scope="session")
def attempts(warm: Warm) -> Attempts:
    return Attempts(warm)


@pytest.fixture(scope="session")
def base(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as ``serin base`` pins it."""
    from serin.base import stage
    from serin.core.params import BaseParams

    folder = tmp_path_factory.mktemp("base") / "base"
    stage.run(BaseParams(model=str(tiny_base)), folder, lambda *_: None)
    return folder
