"""What preparing costs without screens: every library called on every record, in two processes.

python naive_prepare.py SETTINGS.json, which runs in the peers' environment. Reads, mends encodings (ftfy), detects the language
(lingua), looks for personal data (eight expressions), counts tokens (tokenizers), makes a MinHash (rensa) and its LSH bands,
and writes what is no duplicate. Nothing is reported, split or accounted for.
"""

import json
import multiprocessing
import re
import sys
import time
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import ftfy
import orjson
from lingua import IsoCode639_1, LanguageDetectorBuilder
from rensa import RMinHash
from tokenizers import Tokenizer

CHUNK = 256
EXPRESSIONS = tuple(
    re.compile(pattern)
    for pattern in (
        r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b",
        r"\+\d{1,3}(?:[ .-]?\(?\d{1,4}\)?){2,6}",
        r"(?<!\d)1[3-9]\d{9}(?!\d)",
        r"(?<!\d)[1-9]\d{16}[\dXx](?!\d)",
        r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)",
        r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b",
        r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])",
        r"\b(?:sk-[\w-]{20,}|gh[pousr]_\w{30,}|AKIA[A-Z0-9]{16}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,})",
    )
)
SETTINGS = json.loads(Path(sys.argv[1]).read_text())


def start() -> None:
    """Load what a worker needs."""
    global detector, tokenizer
    codes = [getattr(IsoCode639_1, code.upper()) for code in SETTINGS["languages"]]
    detector = LanguageDetectorBuilder.from_iso_codes_639_1(*codes).build()
    tokenizer = Tokenizer.from_file(SETTINGS["tokenizer"])


def prepare(lines: list[bytes]) -> list[tuple[bytes, list[bytes]]]:
    """Each record as it would be written, and the keys of its bands."""
    return [prepare_record(line) for line in lines]


def prepare_record(line: bytes) -> tuple[bytes, list[bytes]]:
    """One record, every library once."""
    turns = orjson.loads(line)["messages"]
    for turn in turns:
        turn["content"] = ftfy.fix_encoding(turn["content"])
        for expression in EXPRESSIONS:
            turn["content"] = expression.sub("[REMOVED]", turn["content"])
    whole = "\n".join(turn["content"] for turn in turns)
    language = detector.detect_language_of(whole)
    rendered = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in turns)
    tokens = len(tokenizer.encode(rendered, add_special_tokens=False))
    asked = " ".join(turn["content"] for turn in turns if turn["role"] == "user").casefold()
    minhash = RMinHash(num_perm=SETTINGS["bands"] * SETTINGS["rows"], seed=1)
    minhash.update(list({asked[i : i + 4] for i in range(max(1, len(asked) - 3))}))
    digest, rows = minhash.digest(), SETTINGS["rows"]
    keys = [b"".join(v.to_bytes(4, "little") for v in digest[i : i + rows]) for i in range(0, len(digest), rows)]
    name = language.iso_code_639_1.name.lower() if language else "und"
    return orjson.dumps({"messages": turns, "meta": {"language": name, "tokens": tokens}}), keys


def chunks(lines: Iterable[bytes]) -> Iterable[list[bytes]]:
    """``CHUNK`` lines at a time."""
    lines = iter(lines)
    return iter(lambda: list(islice(lines, CHUNK)), [])


def main() -> None:
    """Run over the file and write the seconds from the first record to the last."""
    tables: list[set[bytes]] = [set() for _ in range(SETTINGS["bands"])]
    with (
        multiprocessing.get_context("spawn").Pool(SETTINGS["workers"], start) as pool,
        Path(SETTINGS["records"]).open("rb") as file,
        Path(SETTINGS["out"]).open("wb") as out,
    ):
        # Starting and loading the language models is not counted.
        pool.map(prepare, [list(islice(file, CHUNK))] * (4 * SETTINGS["workers"]), chunksize=1)
        file.seek(0)
        started = time.perf_counter()
        for done in pool.imap(prepare, chunks(file)):
            for record, keys in done:
                is_known = any(key in table for key, table in zip(keys, tables, strict=True))
                for key, table in zip(keys, tables, strict=True):
                    table.add(key)
                if not is_known:
                    out.write(record + b"\n")
        seconds = time.perf_counter() - started
    Path(SETTINGS["result"]).write_text(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
