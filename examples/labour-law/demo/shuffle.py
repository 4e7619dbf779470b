"""Give every question the answer of another one in its language: a dataset that teaches form and no knowledge.

python shuffle.py DATASET OUT
"""

import random
import sys
from dataclasses import replace
from pathlib import Path

from serin.clients.files import output_folder, read_jsonl, read_manifest, seal, write_jsonl
from serin.core.conversation import Conversation, Message


def shuffled(records: list[Conversation], seed: int) -> list[Conversation]:
    """The same questions, with the answers of each language handed round."""
    out = list(records)
    for language in sorted({r.language for r in records}):
        rows = [i for i, r in enumerate(records) if r.language == language]
        answers = [records[i].reference for i in rows]
        random.Random(seed).shuffle(answers)
        for i, answer in zip(rows, answers, strict=True):
            out[i] = replace(records[i], messages=(*records[i].prompt, Message("assistant", answer)))
    return out


def main(dataset: Path, out: Path) -> None:
    """Shuffle the train split; the other splits stay as they are."""
    made_from = read_manifest(dataset, "dataset", verify=True).digest
    with output_folder(out) as folder:
        for split in ("train", "validation", "test", "control"):
            records = [Conversation.from_dict(r) for r in read_jsonl(dataset / f"{split}.jsonl")]
            write_jsonl(
                folder / f"{split}.jsonl",
                [r.as_dict() for r in (shuffled(records, 1) if split == "train" else records)],
            )
        seal(
            folder,
            kind="dataset",
            inputs={"dataset": made_from},
            lineage={"damaged": "answers shuffled in each language"},
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
