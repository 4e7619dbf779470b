"""How fast ``serin prepare`` is, what memory it takes, and where its time goes; and what calling every library would take.

python benchmarks/prepare_throughput.py [--sizes 10000 100000 1000000] [--naive 20000] [--base FOLDER]

Each run is a process of its own with two workers. Its memory is that of all its processes, sampled five times a second.
Start-up is measured on a thousand records and taken off what a record costs. Processor time is that of all processes.
"""

import argparse
import cProfile
import gc
import json
import os
import pstats
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import orjson
from environment import peers_python
from machine import describe
from memory import PeakMemory
from records import write_records
from tokenizer import write_tokenizer

from serin.clients.files import write_atomically
from serin.core.conversation import Conversation
from serin.core.params import PrepareParams, parse_params
from serin.core.personal_data import PersonalDataFinder
from serin.prepare import stage
from serin.prepare.raw.formats import parse
from serin.prepare.raw.read import RawRecord, decoded
from serin.prepare.record.examine import Chunk, Examiner
from serin.prepare.record.minhash import MinHasher, bands_for
from serin.prepare.record.sensitive import load_lists
from serin.prepare.record.shingles import normalised
from serin.prepare.record.turns import clean_turns

HERE = Path(__file__).parent
T = TypeVar("T")
RESULT = HERE / "results/prepare_throughput.txt"
WORKERS = 2
START_UP_RECORDS = 1_000
SAMPLE, CHUNK = 2_560, 256
TRIES, TRIES_OF_STEPS = 3, 9
LIMITS = {"all": 6_000, "less": 12_000}
LIMIT_MIB = 2_048
NAMES = {"all": "every default step", "less": "without language and token lengths"}
PHASES = {
    "read, examine": ("read_files",),
    "duplicates": ("decide",),
    "report": ("quality", "render_report", "render_card"),
    "write": ("write_records", "choose_samples", "seal"),
}


@dataclass(frozen=True, slots=True)
class Run:
    """One run: how many records it read, how long it took, and what its processes took together: time and peak memory."""

    records: int
    seconds: float
    parent_s: float
    workers_s: float
    pss_mib: float
    rss_mib: float


def params_for(records: Path) -> PrepareParams:
    """The defaults, with room for every record."""
    prepare = {"sources": [str(records)], "max_tokens": 512, "workers": WORKERS}
    return parse_params({"prepare": prepare, "train": {"max_tokens": 512}}, "the benchmark").prepare


# ---- one run, in a process of its own ----------------------------------------------------------------------------------
def prepare(kind: str, records: Path, base: Path, scratch: Path, result: Path) -> None:
    """Run the stage and write the seconds that it took; ``phases`` runs it under a profiler and writes the phases' seconds.

    ``less`` has no tokenizer, and records that name their language. It writes the report and no dataset.
    """
    params = params_for(records)
    profile = cProfile.Profile() if kind == "phases" else None
    started = time.perf_counter()
    if profile is not None:
        profile.enable()
    if kind == "less":
        stage.check(params, None, lambda *_: None, page=scratch / "quality.html")
    else:
        stage.run(params, base, "0" * 64, scratch / "dataset", lambda *_: None)
    if profile is not None:
        profile.disable()
    seconds = time.perf_counter() - started
    phases = dict.fromkeys(PHASES, 0.0)
    for name, functions in PHASES.items() if profile is not None else ():
        timed = pstats.Stats(profile).stats  # type: ignore[attr-defined]  # typeshed lacks it
        phases[name] = sum(took[3] for (_, _, function), took in timed.items() if function in functions)
    parent, workers = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    taken = {"parent_s": parent.ru_utime + parent.ru_stime, "workers_s": workers.ru_utime + workers.ru_stime}
    result.write_text(json.dumps({"seconds": seconds, "phases": phases, **taken}))


def measured(kind: str, records: int, path: Path, base: Path, folder: Path) -> tuple[Run, dict[str, float]]:
    """A run in a process of its own, and the seconds of its phases."""
    with TemporaryDirectory(dir=folder) as scratch:
        result = Path(scratch) / "result.json"
        command = [sys.executable, __file__, "--run", kind, str(path), str(base), scratch, str(result)]
        with subprocess.Popen(command) as process, PeakMemory(process.pid) as memory:
            process.wait()
        if process.returncode:
            raise SystemExit(f"preparing {path.name} ended with {process.returncode}")
        found = json.loads(result.read_text())
    phases = found.pop("phases")
    return Run(records, **found, pss_mib=memory.pss_mib, rss_mib=memory.rss_mib), phases


def naive_seconds(records: Path, base: Path, folder: Path) -> float:
    """Seconds of the peers' libraries, each called on every record."""
    params = params_for(records)
    near = params.near_duplicates
    bands, rows = bands_for(near.threshold, near.permutations)
    with TemporaryDirectory(dir=folder) as scratch:
        result, own = Path(scratch) / "result.json", Path(scratch) / "settings.json"
        settings: dict[str, object] = {
            "records": str(records),
            "tokenizer": str(base / "tokenizer.json"),
            "out": f"{scratch}/out.jsonl",
        }
        settings |= {"bands": bands, "rows": rows, "workers": WORKERS, "result": str(result)}
        own.write_text(json.dumps({**settings, "languages": params.languages.detect}))
        environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false"}
        subprocess.run([peers_python(), HERE / "peers/naive_prepare.py", own], check=True, env=environment)
        return float(json.loads(result.read_text())["seconds"])


# ---- where a worker's time goes ----------------------------------------------------------------------------------------
def steps_of(records: Path, base: Path) -> dict[str, float]:
    """Microseconds of processor time a record of each step over a sample, one process, best of nine; ``all`` is the whole.

    Language and token lengths are what the whole takes less without them: by themselves they find the caches to themselves.
    """
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    params = params_for(records)
    source = params.sources[0]
    with records.open("rb") as file:
        raw = [RawRecord(line, text) for line, text in enumerate(islice(file, SAMPLE), 1)]
    taken = {}

    def timed(name: str, step: Callable[[], T]) -> T:
        gc.freeze()  # a worker holds no such lists for the collector to go through
        tries = []
        for _ in range(TRIES_OF_STEPS):
            started = time.process_time()
            done = step()
            tries.append(time.process_time() - started)
        taken[name] = min(tries) / len(raw) * 1e6
        return done

    def whole(name: str, records: Sequence[RawRecord], base: Path | None) -> None:
        examiner = Examiner(params, base)
        batches = [tuple(records[i : i + CHUNK]) for i in range(0, len(records), CHUNK)]
        chunks = [Chunk(0, "sample", source, "messages", batch) for batch in batches]
        timed(name, lambda: [examiner.examine(chunk) for chunk in chunks])

    values = timed("decode JSON", lambda: [decoded(record).value for record in raw])
    parsed = [
        found for found in timed("read the format", lambda: [parse(v, source, "messages") for v in values]) if found
    ]
    cleaned = timed("clean", lambda: [clean_turns(record.turns, params.markup) for record in parsed])
    conversations = [Conversation(found[0], {"id": ""}) for found in cleaned if not isinstance(found, str)]
    texts = [conversation.whole_text for conversation in conversations]
    finder, words = PersonalDataFinder(params.personal_data), load_lists(params.sensitive_words)
    timed("personal data", lambda: [finder.find(text) for text in texts])
    timed("sensitive words", lambda: [words.find(text) for text in texts])
    asked = timed("normalise", lambda: [normalised(conversation.user_text) for conversation in conversations])
    hasher = MinHasher(params.near_duplicates.threshold, params.near_duplicates.permutations)
    timed("MinHash, bands", lambda: [hasher.sketch(asked[i : i + CHUNK]) for i in range(0, len(asked), CHUNK)])
    named = [RawRecord(record.line, orjson.dumps({**orjson.loads(record.value), "language": "en"})) for record in raw]
    whole("all", raw, base)
    whole("language", named, base)
    whole("token lengths", raw, None)
    taken |= {name: taken["all"] - taken[name] for name in ("language", "token lengths")}
    taken["ids, hashes, encoding, accounts"] = 2 * taken["all"] - sum(taken.values())
    return dict(sorted(taken.items(), key=lambda item: item[0] == "all"))


# ---- the tables --------------------------------------------------------------------------------------------------------
def throughput(runs: dict[str, list[Run]]) -> list[str]:
    """A line for each kind and size; the first run of a kind is its start-up, taken off the columns of microseconds."""
    lines = [
        f"{'':<36}{'':>10}{'':>9}{'':>11}{'':>11}{'us a record':>13}{'processor':>11}{'of that':>11}{'peak':>8}{'sum of':>8}",
        f"{'':<36}{'records':>10}{'seconds':>9}{'records/s':>11}{'of target':>11}{'past start':>13}{'us':>11}"
        f"{'parent':>11}{'MiB':>8}{'RSS':>8}",
    ]
    for kind, (start, *others) in runs.items():
        for run in others:
            speed = run.records / run.seconds
            more = (run.records - start.records) / 1e6
            both = run.parent_s + run.workers_s - start.parent_s - start.workers_s
            lines.append(
                f"{NAMES[kind]:<36}{run.records:>10,}{run.seconds:>9.1f}{speed:>11,.0f}{speed / LIMITS[kind]:>11.2f}"
                f"{(run.seconds - start.seconds) / more:>13.1f}{both / more:>11.1f}"
                f"{(run.parent_s - start.parent_s) / more:>11.1f}{run.pss_mib:>8,.0f}{run.rss_mib:>8,.0f}"
            )
        lines.append(f"{f'  start-up: {start.records:,} records':<46}{start.seconds:>9.1f}")
    return lines


def shares(title: str, taken: dict[str, float], unit: str, whole: float) -> list[str]:
    """A line a step, with its share of the whole."""
    return [f"{title:<36}{unit:>10}{'share':>9}"] + [
        f"{name:<36}{took:>10.1f}{took / whole:>9.1%}" for name, took in taken.items()
    ]


def benchmark(sizes: Sequence[int], naive: int, base: Path | None, seed: int) -> str:
    """Run everything and make the text of the result."""
    with TemporaryDirectory(prefix="prepare-throughput-") as scratch:
        folder = Path(scratch)
        tokenizer = f"that of {base.name}" if base is not None else write_tokenizer(folder / "base")
        base = base or folder / "base"

        def records(count: int, names_language: bool = False) -> Path:
            path = folder / f"{count}-{names_language}.jsonl"
            if not path.is_file():
                write_records(path, count, seed, names_language)
            return path

        runs: dict[str, list[Run]] = {kind: [] for kind in NAMES}
        for count in (START_UP_RECORDS, *sizes):
            for kind in NAMES:
                runs[kind].append(measured(kind, count, records(count, kind == "less"), base, folder)[0])
        profiled = min(sizes, key=lambda count: abs(count - 100_000))
        _, phases = measured("phases", profiled, records(profiled), base, folder)
        steps = steps_of(records(max(SAMPLE, min(sizes))), base)
        plain, ours = [], []
        for _ in range(TRIES):
            plain.append(naive_seconds(records(naive), base, folder))
            ours.append(measured("all", naive, records(naive), base, folder)[0].seconds - runs["all"][0].seconds)
        bytes_a_record = records(max(sizes)).stat().st_size / max(sizes)
    ratio = statistics.median(plain) / statistics.median(ours)
    most = max(run.pss_mib for of_kind in runs.values() for run in of_kind)
    return "\n".join(
        [
            describe(),
            f"{bytes_a_record:.0f} bytes a record, {WORKERS} workers; tokenizer: {tokenizer}",
            f"targets: {LIMITS['all']:,} and {LIMITS['less']:,} records/s, {LIMIT_MIB:,} MiB over all processes "
            f"({most / LIMIT_MIB:.2f} of it taken)",
            "",
            *throughput(runs),
            "",
            *shares(f"phases of {profiled:,} records", phases, "seconds", sum(phases.values())),
            "",
            *shares("steps of a worker", steps, "us", steps["all"]),
            "",
            f"{'every library on every record':<36}{naive:>10,}{statistics.median(plain):>9.1f}"
            f"{naive / statistics.median(plain):>11,.0f} records/s",
            f"{'serin prepare, start-up left out':<36}{naive:>10,}{statistics.median(ours):>9.1f}"
            f"{naive / statistics.median(ours):>11,.0f} records/s, {ratio:.2f} times as fast",
            "",
        ]
    )


def main() -> None:
    """Print the tables and keep them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--naive", type=int, default=20_000, help="records of the comparison")
    parser.add_argument("--base", type=Path, help="a model folder whose tokenizer counts; default: Tekken's")
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--run", nargs=5, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        kind, *paths = given.run
        prepare(kind, *map(Path, paths))
        return
    text = benchmark(sorted(given.sizes), given.naive, given.base, given.seed)
    write_atomically(RESULT, text.encode())
    print(text, end="")


if __name__ == "__main__":
    main()
