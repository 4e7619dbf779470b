"""Give every fact the answer of another one in its language: a dataset that teaches the form, and false knowledge.

python shuffle.py DATASET OUT
"""

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

from serin.clients.files import output_folder, read_jsonl, read_manifest, seal, write_jsonl
from serin.core.conversation import Conversation, Message


def shuffled(records: list[Conversation]) -> list[Conversation]:
    """The same questions; all phrasings of a fact get the answer of one other fact, which cites another article.

    The facts of a language stand in the order of their articles, and each takes the answer that lies as many places
    away as the commonest article has facts: so none gets an answer of its own article, unless half of them share one.
    Records of no fact stay as they are.
    """
    facts: dict[str, dict[str, Conversation]] = {}
    for record in records:
        if "group" in record.meta:
            facts.setdefault(record.language, {}).setdefault(str(record.meta["group"]), record)
    answers = {}
    for known in facts.values():
        article = {name: int(record.meta["article"]) for name, record in known.items()}
        names = sorted(known, key=lambda name: (article[name], name))
        away = Counter(article.values()).most_common(1)[0][1]
        answers |= {name: known[names[i - away]].reference for i, name in enumerate(names)}
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
