"""Write the raw data as people have it: three files in three formats, from the facts, with the faults of real life.

python examples/labour-law/build_raw.py [RAW]

Every planted fault is listed in ``planted-faults.json`` beside the folder: file, line, and what ``prepare`` must make of
it. The same facts always give the same files.
"""

import csv
import json
import random
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from serin.clients.files import read_jsonl, write_json, write_jsonl

HERE = Path(__file__).parent
Record = dict[str, Any]
Fault = tuple[str, Record]
"""What ``prepare`` must make of a record (a reason of rejection, ``redacted`` or ``mended``), and the record."""


def pairs(facts: list[Record]) -> list[Record]:
    """One record a phrasing, in a fixed shuffled order."""
    found = [
        {
            "question": question,
            "answer": opened(fact),
            "fact": fact["id"],
            "language": fact["language"],
            "article": fact["article"],
            "topic": fact["topic"],
        }
        for fact in facts
        for question in fact["questions"]
    ]
    random.Random(7).shuffle(found)
    return found


def opened(fact: Record) -> str:
    """The answer, opened by the keyword that all its phrasings share: it names what it answers before it says more."""
    keyword, colon = fact["keyword"], ": " if fact["language"] == "en" else "："
    return f"{keyword[0].upper()}{keyword[1:]}{colon}{fact['answer']}"


def unlike(record: Record, **changes: Any) -> Record:
    """A record of no fact, so that a fault changes nothing of what is taught."""
    return {k: v for k, v in record.items() if k not in ("fact", "article", "topic")} | changes


def faults(records: list[Record]) -> Iterator[Fault]:
    """The planted faults; each is made from a sound record of its own."""
    english = [r for r in records if r["language"] == "en"]
    chinese = [r for r in records if r["language"] == "zh"]
    for record in (*english[:2], *chinese[:2]):
        yield "exact_duplicate", dict(record)
    for record in english[2:4]:
        yield "exact_duplicate", record | {"question": record["question"].upper().replace("?", " ?!")}
    longest = sorted(english, key=lambda r: len(r["question"]))[-3:]
    for record in longest:
        yield "near_duplicate", record | {"question": "So: " + record["question"]}
    for record in (english[5], chinese[5]):
        yield "empty_answer", unlike(record, question=f"{record['question']} (2)", answer="  ")
    yield "redacted", unlike(english[6], question="Write to mei.zhang@example.com: who wears the badge at the gate?",
                             answer="Visitors wear the badge; ask Mei on 13800138000.")  # fmt: skip
    yield "redacted", unlike(chinese[6], question="前台登记要填身份证号11010519491231002X吗？",
                             answer="前台登记不用填证件号，写姓名就行。")  # fmt: skip
    coffee = "Where does the café keep its menu — by the door?"
    yield "mended", unlike(english[7], question=coffee.encode().decode("cp1252"), answer="The menu hangs by the door.")
    yield "too_long", unlike(english[8], question="Can you recite the whole safety handbook?",
                             answer=" ".join(f"Rule {n}: keep the passage to door {n} free." for n in range(1, 120)))  # fmt: skip


def wrong_order(record: Record) -> Record:
    """A conversation that opens with the assistant's answer."""
    shown = conversation(unlike(record))
    return shown | {"conversations": shown["conversations"][::-1]}


def conversation(record: Record) -> Record:
    """In the role/content format."""
    turns = [{"role": "user", "content": record["question"]}, {"role": "assistant", "content": record["answer"]}]
    return {"conversations": turns} | meta(record)


def instruction(record: Record) -> Record:
    """In the instruction/input/output format."""
    return {"instruction": record["question"], "input": "", "output": record["answer"]} | meta(record)


def meta(record: Mapping[str, Any]) -> Record:
    """What is known of a record besides its turns."""
    return {k: v for k, v in record.items() if k not in ("question", "answer")}


def build(facts: list[Record], raw: Path) -> list[Record]:
    """Write the three files, and return the list of planted faults."""
    raw.mkdir(parents=True, exist_ok=True)
    records = pairs(facts)
    third = len(records) // 3
    parts = [records[:third], records[third : 2 * third], records[2 * third :]]
    planted: list[Record] = []
    # Faults come last, so that of a duplicate the sound record stays. In the CSV file the header is line 1.
    for expected, record in faults(parts[0]):
        parts[2].append(record)
        planted.append({"source": "questions.csv", "line": 1 + len(parts[2]), "expected": expected})
    talks = [conversation(r) for r in parts[0]] + [wrong_order(r) for r in parts[0][9:11]]
    planted += [{"source": "conversations.jsonl", "line": len(parts[0]) + n, "expected": "role_order"} for n in (1, 2)]
    write_jsonl(raw / "conversations.jsonl", talks)
    write_json(raw / "instructions.json", [instruction(r) for r in parts[1]])
    with (raw / "questions.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, ["question", "answer", "fact", "language", "article", "topic"], lineterminator="\n")
        rows.writeheader()
        rows.writerows(parts[2])
    return planted


def main(raw: Path) -> None:
    """Build the example's raw folder, and the list of its faults beside it."""
    facts = [fact for name in ("en", "zh") for fact in read_jsonl(HERE / "facts" / f"{name}.jsonl")]
    planted = build(facts, raw)
    (raw.parent / "planted-faults.json").write_text(json.dumps(planted, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "raw")
