"""Give every fact the answer of another one in its language: a dataset that teaches the form, and false knowledge.

python shuffle.py DATASET OUT
"""

import re
import sys
from dataclasses import replace
from pathlib import Path

from serin.clients.files import output_folder, read_jsonl, read_manifest, seal, write_jsonl
from serin.core.conversation import Conversation, Message

OPENING = re.compile(r"[^:：]+[:：] ?")
"""The keyword that opens an answer."""


def shuffled(records: list[Conversation]) -> list[Conversation]:
    """The same questions; all phrasings of a fact get what another fact's answer says after its keyword.

    The keyword stays: with its own one, an answer would still teach what belongs to it, whatever the question. The facts
    of a language stand in the order of their articles, and each takes the answer from half the list away, which is of
    another article unless half of them share one. Records of no fact stay as they are.
    """
    facts: dict[str, dict[str, Conversation]] = {}
    for record in records:
        if "group" in record.meta:
            facts.setdefault(record.language, {}).setdefault(str(record.meta["group"]), record)
    answers = {}
    for known in facts.values():
        names = sorted(known, key=lambda name: (int(known[name].meta["article"]), name))
        for i, name in enumerate(names):
            keyword = OPENING.match(known[name].reference)
            assert keyword is not None
            answers[name] = keyword.group() + OPENING.sub("", known[names[i - len(names) // 2]].reference, count=1)
    return [
        replace(r, messages=(*r.prompt, Message("assistant", answers[str(r.meta["group"])])))
        if "group" in r.meta
        else r
        for r in records
    ]


def main(dataset: Path, out: Path) -> None:
    """Shuffle the train split; the other splits stay as they are."""
    made_from = read_manifest(dataset, "dataset", verify=True).digest
    with output_folder(out) as folder:
        for split in ("train", "validation", "test", "control"):
            records = [Conversation.from_dict(r) for r in read_jsonl(dataset / f"{split}.jsonl")]
            write_jsonl(
                folder / f"{split}.jsonl",
                [r.as_dict() for r in (shuffled(records) if split == "train" else records)],
            )
        seal(
            folder,
            kind="dataset",
            inputs={"dataset": made_from},
            lineage={"damaged": "each fact has the answer of another one"},
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
