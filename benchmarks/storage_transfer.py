"""A model's folder to S3 and back: Serin against the AWS command line and boto3 as they come, and against a bare socket.

python benchmarks/storage_transfer.py [--rounds 5] [--gib 2] [--server memory|moto]

The folder has files of 1 GB and what is left to ``--gib``, as a sharded model has, a dozen small ones, and a manifest. Every
transfer is a process of its own, imports included, against a server of its own (s3_in_memory.py, or moto) on this machine;
rounds are interleaved. ``aws s3 cp --recursive`` and boto3's ``upload_file`` and ``download_file``, file by file, run with
their defaults. Serin reads every byte once more than they do, for its SHA-256, and compares what arrives with it. The floor
sends and receives the same bytes over sockets, in as many threads as Serin has, and looks at none of them. Everything that was
fetched is compared with what was sent, outside the time. CPU seconds and peak memory are those of the client.
"""

import argparse
import hashlib
import http.client
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, urlsplit

from environment import peers_python
from machine import describe

HERE = Path(__file__).parent
RESULT = HERE / "results/storage_transfer.txt"
GB, MIB, GIB = 10**9, 1 << 20, 1 << 30
SMALL_BYTES = (11 * MIB, 3 * MIB, MIB, *([2_000] * 9))
PART_BYTES = 8 * MIB
THREADS = 8
BUCKET = "bucket"
CONTENDERS = ("serin", "aws s3 cp", "boto3", "floor")
DIRECTIONS = ("up", "down")
MOTO = "import time; from moto.server import ThreadedMotoServer as S; s = S('127.0.0.1', 0, verbose=False); s.start(); "
MOTO += "print(s.get_host_and_port()[1], flush=True); time.sleep(1e9)"


@dataclass(frozen=True, slots=True)
class Measured:
    """One transfer."""

    wall_s: float
    cpu_s: float
    peak_mib: float


# ---- one transfer, in a process of its own -------------------------------------------------------------------------------
def transfer_with_serin(direction: str, folder: Path, url: str) -> None:
    """As ``serin merge`` and ``serin publish`` do it."""
    from serin.clients.storage import S3Storage
    from serin.core.manifest import MANIFEST

    storage = S3Storage(f"s3://{BUCKET}", url)
    if direction == "up":
        storage.put_folder(folder, "model", last=MANIFEST)
    else:
        storage.fetch_folder("model", folder)


def transfer_with_boto3(direction: str, folder: Path, url: str) -> None:
    """File by file, as most programs do it."""
    import boto3

    client = boto3.client("s3", endpoint_url=url)
    if direction == "up":
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            client.upload_file(str(path), BUCKET, f"model/{path.relative_to(folder).as_posix()}")
        return
    for found in client.list_objects_v2(Bucket=BUCKET, Prefix="model/")["Contents"]:
        path = folder / found["Key"].removeprefix("model/")
        path.parent.mkdir(parents=True, exist_ok=True)
        client.download_file(BUCKET, found["Key"], str(path))


def transfer_bare(direction: str, folder: Path, url: str) -> None:
    """What the bytes alone cost: parts as objects of their own, over plain HTTP, nothing signed and nothing looked at."""
    host = urlsplit(url).netloc
    index = folder.with_suffix(".index")

    def move(part: tuple[str, int, int]) -> None:
        name, first, count = part
        connection = http.client.HTTPConnection(host)
        path = f"/{BUCKET}/bare/{quote(name)}.{first}"
        if direction == "up":
            with (folder / name).open("rb") as file:
                connection.request("PUT", path, os.pread(file.fileno(), count, first))
            connection.getresponse().read()
        else:
            connection.request("GET", path)
            answer = connection.getresponse()
            with (folder / name).open("r+b", buffering=0) as file:
                buffer = memoryview(bytearray(MIB))
                while read := answer.readinto(buffer):
                    first += os.pwrite(file.fileno(), buffer[:read], first)
        connection.close()

    if direction == "up":
        sizes = {p.relative_to(folder).as_posix(): p.stat().st_size for p in folder.rglob("*") if p.is_file()}
        index.write_text(json.dumps(sizes))
    else:
        sizes = json.loads(next(folder.parent.glob("*.index")).read_text())
        for name, size in sizes.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with (folder / name).open("wb") as file:
                file.truncate(size)
    parts = [(n, at, min(PART_BYTES, size - at)) for n, size in sizes.items() for at in range(0, size, PART_BYTES)]
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(move, parts))


JOBS = {"serin": transfer_with_serin, "boto3": transfer_with_boto3, "floor": transfer_bare}


# ---- figures -------------------------------------------------------------------------------------------------------------
@contextmanager
def serving(server: str) -> Iterator[str]:
    """The address of a server with an empty bucket."""
    command = [str(HERE / "s3_in_memory.py")] if server == "memory" else ["-c", MOTO]
    with subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        url = f"http://127.0.0.1:{int(process.stdout.readline())}"
        try:
            connection = http.client.HTTPConnection(urlsplit(url).netloc)
            connection.request("PUT", f"/{BUCKET}")
            connection.getresponse().read()
            connection.close()
            yield url
        finally:
            process.kill()


def measure(contender: str, direction: str, folder: Path, url: str) -> Measured:
    """One transfer's cost."""
    if contender == "aws s3 cp":
        aws = peers_python("storage_peers.txt").with_name("aws")
        ends = [str(folder), f"s3://{BUCKET}/model"][:: 1 if direction == "up" else -1]
        command = [str(aws), "s3", "cp", "--recursive", "--only-show-errors", "--endpoint-url", url, *ends]
    else:
        command = [sys.executable, __file__, "--job", contender, direction, str(folder), url]
    began = time.monotonic()
    process = subprocess.Popen(command)
    _, status, used = os.wait4(process.pid, 0)
    wall_s = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{contender} {direction} failed")
    return Measured(wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def write_folder(folder: Path, size_bytes: int) -> None:
    """Random bytes, in files as a sharded model has them, and the manifest."""
    from serin.clients.files import seal

    folder.mkdir()
    draw = random.Random(0)
    sizes = {f"file-{i}.json": size for i, size in enumerate(SMALL_BYTES)}
    left = size_bytes - sum(SMALL_BYTES)
    for i in range(-(-left // GB)):
        sizes[f"model-{i}.safetensors"] = min(GB, left - i * GB)
    for name, size in sizes.items():
        with (folder / name).open("wb") as file:
            for first in range(0, size, PART_BYTES):
                file.write(draw.randbytes(min(PART_BYTES, size - first)))
    seal(folder, kind="model")


def compare(contender: str, sent: Path, fetched: Path) -> None:
    """Ends the benchmark where something arrived otherwise than it was sent."""
    for path in sent.rglob("*"):
        if digest(path) != digest(fetched / path.relative_to(sent)):
            sys.exit(f"{contender}: {path.name} arrived otherwise than it was sent")


def digest(path: Path) -> str:
    """SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run(rounds: int, size_bytes: int, server: str) -> str:
    """The table."""
    found: dict[tuple[str, str], list[Measured]] = {}
    with TemporaryDirectory(prefix="storage-transfer-") as scratch:
        sent, fetched = Path(scratch) / "sent", Path(scratch) / "fetched"
        write_folder(sent, size_bytes)
        for round_ in range(rounds):
            order = list(CONTENDERS)
            random.Random(round_).shuffle(order)
            for contender in order:
                with serving(server) as url:
                    found.setdefault((contender, "up"), []).append(measure(contender, "up", sent, url))
                    shutil.rmtree(fetched, ignore_errors=True)
                    fetched.mkdir()
                    found.setdefault((contender, "down"), []).append(measure(contender, "down", fetched, url))
                compare(contender, sent, fetched)
                print(round_, contender, *(found[contender, d][-1] for d in DIRECTIONS), file=sys.stderr, flush=True)
    lines = [
        describe(),
        f"{size_bytes / GIB:.2f} GiB, {rounds} rounds, server: {server}; medians (and the lowest to the highest)",
        "",
        f"{'':<22}{'seconds':>9}{'':<18}{'MiB/s':>8}{'CPU s':>8}{'MiB peak':>10}{'against serin':>15}",
    ]
    for direction in DIRECTIONS:
        own = statistics.median(m.wall_s for m in found["serin", direction])
        for contender in CONTENDERS:
            measured = found[contender, direction]
            walls = sorted(m.wall_s for m in measured)
            wall = statistics.median(walls)
            cpu, peak = (statistics.median(getattr(m, of) for m in measured) for of in ("cpu_s", "peak_mib"))
            lines.append(
                f"{direction + ', ' + contender:<22}{wall:>9.2f}{f' ({walls[0]:.2f} to {walls[-1]:.2f})':<18}"
                f"{size_bytes / MIB / wall:>8,.0f}{cpu:>8.2f}{peak:>10,.0f}{wall / own:>15.2f}"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gib", type=float, default=2.0, help="the folder's size; a result is kept of 2 alone")
    parser.add_argument(
        "--server", choices=("memory", "moto"), default="memory", help="a result is kept of memory alone"
    )
    parser.add_argument("--job", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.job:
        contender, direction, folder, url = given.job
        JOBS[contender](direction, Path(folder), url)
        return
    os.environ.update(AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x", AWS_DEFAULT_REGION="us-east-1", NO_PROXY="*")
    peers_python("storage_peers.txt")
    text = run(given.rounds, int(given.gib * GIB), given.server)
    print(text, end="")
    if given.gib == 2.0 and given.server == "memory":
        RESULT.write_text(text)


if __name__ == "__main__":
    main()
