"""Write ``corpus/statements.txt``: each fact in a sentence of its own, so that the base model has the words for it.

python examples/labour-law/build_statements.py [CORPUS]

A statement names no article, and the control facts are left out: the articles and answers are for the fine-tune to
teach, and nothing of the control is known anywhere.
"""

import random
import sys
from pathlib import Path

from serin.cli.options import load_params
from serin.clients.files import read_jsonl
from serin.core.params.data import SplitParams
from serin.prepare.split import split_of

HERE = Path(__file__).parent


def build(split: SplitParams, corpus: Path) -> None:
    """Write the statements of every fact outside the control, in a fixed shuffled order."""
    facts = [fact for name in ("en", "zh") for fact in read_jsonl(HERE / "facts" / f"{name}.jsonl")]
    statements = [fact["statement"] for fact in facts if split_of("", fact["id"], split) != "control"]
    random.Random(7).shuffle(statements)
    (corpus / "statements.txt").write_text("\n\n".join(statements) + "\n", encoding="utf-8")


if __name__ == "__main__":
    split = load_params(HERE.parents[1] / "params.yaml").prepare.split
    build(split, Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "corpus")
