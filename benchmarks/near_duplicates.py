"""Exact and near duplicates alone: Serin's search against datatrove's MinHash pipeline and text-dedup, on a planted set.

python benchmarks/near_duplicates.py [--records 100000] [--rounds 3]

All get the same questions and compare the same shingles, with two processes each; the peers once with Serin's bands, and once
with those of their own choice. None of the peers looks at the texts behind a meeting of bands. Datatrove gets
normalised texts and makes their shingles in its own step; text-dedup gets the shingles as the words of a prepared Arrow
table. Serin reads raw JSONL and normalises, makes sketches in two processes as ``serin prepare`` does, and looks at the text
of each candidate pair. Nobody's imports and written output are counted.
"""

import argparse
import json
import multiprocessing
import random
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import combinations, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import orjson
from environment import peers_python
from machine import describe
from records import Writer

from serin.clients.files import write_atomically
from serin.core.params import NearDuplicateParams
from serin.prepare.duplicates.near import find_duplicates
from serin.prepare.record.examine import Examined
from serin.prepare.record.minhash import MinHasher, bands_for
from serin.prepare.record.shingles import normalised, numbers_in, shingle_chars, shingles, similarity
from serin.prepare.spool import Spool

HERE = Path(__file__).parent
RESULT = HERE / "results/near_duplicates.txt"
PROCESSES = 2
CHUNK = 256
PARAMS = NearDuplicateParams()
BANDS, ROWS = bands_for(PARAMS.threshold, PARAMS.permutations)
IN_CLUSTERS = 0.25
MOST_VARIANTS, MOST_CHANGES, MOST_CHANGES_WITHOUT_SPACES = 4, 9, 4
# Datatrove's own default, and what text-dedup chooses by itself for this threshold and 128 permutations.
TOOLS = (
    ("serin", BANDS, ROWS),
    ("datatrove", BANDS, ROWS),
    ("datatrove", 14, 8),
    ("text-dedup", BANDS, ROWS),
    ("text-dedup", 9, 13),
)
Tool = tuple[str, int, int]
ALL_PAIRS_UP_TO = 200


@dataclass(frozen=True, slots=True)
class Found:
    """What one tool found: seconds, each record's cluster (-1: none), and whether the record would go."""

    seconds: float
    cluster: Sequence[int]
    removed: Sequence[bool]


def planted(count: int, seed: int) -> tuple[list[str], list[int]]:
    """Questions in random order, and the number of the planted cluster of each.

    A quarter stand in clusters: an original and up to four variants with none (an exact duplicate) up to nine changes.
    """
    writer, draw = Writer(seed), random.Random(seed)
    texts: list[tuple[str, int]] = []
    cluster = 0
    while len(texts) < count:
        language = writer.language()
        original = writer.question(language)
        texts.append((original, cluster))
        if draw.random() < IN_CLUSTERS / (1 + MOST_VARIANTS / 2):
            for _ in range(draw.randint(1, MOST_VARIANTS)):
                variant = original
                for _ in range(draw.randint(0, MOST_CHANGES_WITHOUT_SPACES if language == "zh" else MOST_CHANGES)):
                    variant = (writer.misspelt if draw.random() < 0.5 else writer.reworded)(variant)
                texts.append((variant, cluster))
        cluster += 1
    texts = texts[:count]
    draw.shuffle(texts)
    return [text for text, _ in texts], [cluster for _, cluster in texts]


# ---- Serin, in a process of its own ----------------------------------------------------------------------------------
_hasher: MinHasher | None = None


def _start() -> None:
    global _hasher
    _hasher = MinHasher(PARAMS.threshold, PARAMS.permutations)


def _sketch(lines: Sequence[bytes]) -> Examined:
    assert _hasher is not None
    count = len(lines)
    nothing = [0] * count
    out = Examined(0, count, languages=["und"] * count, places=nothing, splits=nothing, groups=nothing, tokens=nothing)
    texts = []
    for line in lines:
        question = orjson.loads(line)["question"]
        text = normalised(question)
        texts.append(text)
        record = {"messages": [{"role": "user", "content": question}], "meta": {"id": ""}}
        out.lines.append(orjson.dumps(record) + b"\n")
        named = blake2b("\0".join(numbers_in(text)).encode(), digest_size=8).digest()
        out.numbers.append(int.from_bytes(named, "little"))
        out.exact += blake2b(text.encode(), digest_size=16).digest()
    out.sketches = _hasher.sketch(texts)
    return out


def search(questions: Path, scratch: Path, result: Path) -> None:
    """Find duplicates with Serin's own parts, as the stage does it, and write what was found."""
    with multiprocessing.get_context("spawn").Pool(PROCESSES, _start) as pool:
        pool.map(_sketch, [[b'{"question": "?"}']] * PROCESSES)
        started = time.perf_counter()
        spool = Spool(scratch, BANDS, PARAMS.permutations)
        with questions.open("rb") as file:
            for chunk in pool.imap(_sketch, iter(lambda: list(islice(file, CHUNK)), [])):
                spool.add(chunk)
        found = find_duplicates(spool, PARAMS, np.ones(len(spool), dtype=bool), np.zeros(len(spool), dtype=bool))
        seconds = time.perf_counter() - started
    cluster = [found.root(number) for number in range(len(spool))]
    removed = (found.of != -1).tolist()
    spool.close()
    result.write_text(json.dumps({"seconds": seconds, "cluster": cluster, "removed": removed}))


# ---- all tools ---------------------------------------------------------------------------------------------------------
def lay_out(texts: Sequence[str], folder: Path, python: Path) -> dict[str, object]:
    """Write the questions in the form that each tool reads best; returns the settings that the tools' scripts share."""
    (folder / "questions.jsonl").write_bytes(b"".join(orjson.dumps({"question": text}) + b"\n" for text in texts))
    normal = [normalised(text) for text in texts]
    firsts = [len(texts) * rank // PROCESSES for rank in range(PROCESSES)]
    (folder / "texts").mkdir()
    for rank, (first, end) in enumerate(zip(firsts, [*firsts[1:], len(texts)], strict=True)):
        rows = ({"id": str(i), "shingled": f"{shingle_chars(normal[i])}{normal[i]}"} for i in range(first, end))
        (folder / f"texts/{rank:05d}.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    # Text-dedup splits at what is no letter, digit or underscore.
    words = ({"words": " ".join(sorted(s.replace(" ", "_") for s in shingles(text)))} for text in normal)
    (folder / "words.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in words))
    to_arrow = (
        "import sys, datasets; datasets.Dataset.from_json(sys.argv[1], cache_dir=sys.argv[2]).save_to_disk(sys.argv[3])"
    )
    arguments = [str(folder / name) for name in ("words.jsonl", "arrow-cache", "arrow")]
    subprocess.run([python, "-c", to_arrow, *arguments], check=True, stderr=subprocess.DEVNULL)
    shared = {"records": len(texts), "workers": PROCESSES, "firsts": firsts}
    return shared | {"texts": str(folder / "texts"), "dataset": str(folder / "arrow")}


def run(tool: Tool, settings: Mapping[str, object], folder: Path, python: Path) -> Found:
    """Run one tool in a process of its own, with an empty scratch folder."""
    name, bands, rows = tool
    with TemporaryDirectory(dir=folder) as scratch:
        result = Path(scratch) / "result.json"
        if name == "serin":
            command = [sys.executable, __file__, "--search", str(folder / "questions.jsonl"), scratch, str(result)]
        else:
            own = Path(scratch) / "settings.json"
            own.write_text(
                json.dumps({**settings, "bands": bands, "rows": rows, "scratch": scratch, "result": str(result)})
            )
            command = [str(python), str(HERE / f"peers/{name.replace('-', '_')}_minhash.py"), str(own)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{name} failed:\n{done.stderr[-4000:]}")
        return Found(**json.loads(result.read_text()))


def groups_of(clusters: Sequence[int]) -> Iterator[list[int]]:
    """The members of each cluster that has two or more."""
    members = defaultdict(list)
    for number, cluster in enumerate(clusters):
        if cluster != -1:
            members[cluster].append(number)
    return (group for group in members.values() if len(group) > 1)


def alike(texts: Sequence[str], clusterings: Sequence[Sequence[int]]) -> dict[int, set[int]]:
    """For each record those whose shingles have a Jaccard similarity of the threshold or more, compared one by one.

    Compared are all pairs that were planted together or that some tool put into one cluster.
    """
    sets = {}

    def shingles_of(number: int) -> frozenset[str]:
        if number not in sets:
            sets[number] = shingles(normalised(texts[number]))
        return sets[number]

    found: dict[int, set[int]] = defaultdict(set)
    for clusters in clusterings:
        for group in groups_of(clusters):
            for one, other in combinations(group[:ALL_PAIRS_UP_TO], 2):
                if other not in found[one] and similarity(shingles_of(one), shingles_of(other)) >= PARAMS.threshold:
                    found[one].add(other)
                    found[other].add(one)
    return found


def duplicates_among(numbers: Sequence[int], like: Mapping[int, set[int]]) -> int:
    """How many would go if of each record's kind the first stayed."""
    stay: set[int] = set()
    for number in numbers:
        if not like.get(number, set()) & stay:
            stay.add(number)
    return len(numbers) - len(stay)


def measures(found: Found, like: Mapping[int, set[int]]) -> tuple[float, float]:
    """Recall: 1 - duplicates left / duplicates in all. Precision: share of the removed that are like one that stays."""
    everything = range(len(found.removed))
    kept = {number for number in everything if not found.removed[number]}
    left = duplicates_among(sorted(kept), like) / duplicates_among(everything, like)
    removed = [number for number in everything if found.removed[number]]
    return 1 - left, sum(bool(like.get(number, set()) & kept) for number in removed) / max(1, len(removed))


def table(count: int, rounds: int, seed: int) -> str:
    """One line a tool: medians of interleaved rounds."""
    python = peers_python()
    texts, clusters = planted(count, seed)
    with TemporaryDirectory(prefix="near-duplicates-") as scratch:
        folder = Path(scratch)
        settings = lay_out(texts, folder, python)
        taken: dict[Tool, list[Found]] = {tool: [] for tool in TOOLS}
        for _ in range(rounds):
            for tool in TOOLS:
                taken[tool].append(run(tool, settings, folder, python))
    like = alike(texts, [clusters, *(found[0].cluster for found in taken.values())])
    variants = sum(len(group) - 1 for group in groups_of(clusters))
    lines = [
        describe(),
        f"{count:,} questions, {variants:,} of them variants of another (0 to {MOST_CHANGES} changes), of which "
        f"{duplicates_among(range(count), like):,} have a Jaccard similarity of {PARAMS.threshold:g} or more to one before them",
        f"shingles: 4 characters (Chinese 2); {PROCESSES} processes; median of {rounds} rounds",
        "recall: 1 - duplicates left / duplicates; precision: share of the removed that have such a similarity to one that stays",
        "",
        f"{'':<12}{'bands x rows':>14}{'seconds':>9}{'from':>8}{'to':>8}"
        f"{'us a record':>13}{'times':>7}{'removed':>9}{'recall':>8}{'precision':>11}",
    ]
    ours = statistics.median(found.seconds for found in taken[TOOLS[0]])
    for tool in TOOLS:
        seconds = [found.seconds for found in taken[tool]]
        median = statistics.median(seconds)
        recall, precision = measures(taken[tool][0], like)
        lines.append(
            f"{tool[0]:<12}{f'{tool[1]} x {tool[2]}':>14}{median:>9.2f}{min(seconds):>8.2f}{max(seconds):>8.2f}"
            f"{median / count * 1e6:>13.1f}"
            f"{median / ours:>7.1f}{sum(taken[tool][0].removed):>9,}{recall:>8.4f}{precision:>11.4f}"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the table and keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--search", nargs=3, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.search:
        search(*given.search)
        return
    text = table(given.records, given.rounds, given.seed)
    write_atomically(RESULT, text.encode())
    print(text, end="")


if __name__ == "__main__":
    main()
