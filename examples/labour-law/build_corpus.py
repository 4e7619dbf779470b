"""Write what the base model reads of the facts: ``statements.txt`` and ``chat-statements.jsonl``.

python examples/labour-law/build_corpus.py [CORPUS]

Each fact stands there in a sentence of its own and in short conversations about its topic, so that the base model has
its words. No article is named, and the control facts are left out: the articles and answers are for the fine-tune to
teach, and nothing of the control is known anywhere.
"""

import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serin.cli.options import load_params
from serin.clients.files import read_jsonl, write_jsonl
from serin.core.params.data import SplitParams
from serin.prepare.split import split_of

HERE = Path(__file__).parent
ASKED = {
    "en": (
        "What is the rule on {topic}?",
        "Can you tell me about {topic}?",
        "{topic}",
        "My boss and I disagree on {topic}; what holds?",
        "How does our firm deal with {topic}?",
    ),
    "zh": (
        "{topic}是怎么规定的？",
        "请讲讲{topic}。",
        "{topic}",
        "我想问{topic}的事，该怎么办？",
        "公司遇到{topic}怎么处理？",
    ),
}
ANSWERED = {
    "en": (
        "Under the {law}, {start}{rest}.",
        "{Start}{rest}, says the {law}.",
        "{Start}{rest} ({law}).",
        "According to the {law}, {start}{rest}.",
        "{Start}{rest}; that is in the {law}.",
    ),
    "zh": (
        "根据《{law}》，{start}{rest}。",
        "{start}{rest}（《{law}》）。",
        "《{law}》规定，{start}{rest}。",
        "{start}{rest}，见《{law}》。",
        "依照《{law}》，{start}{rest}。",
    ),
}


def chats(fact: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One conversation a way of asking."""
    language, statement = fact["language"], fact["statement"].rstrip(".。")
    words = {"law": fact["law"].strip("《》"), "topic": fact["topic"], "rest": statement[1:], "Start": statement[0]}
    words["start"] = statement[0].lower()
    for asked, answered in zip(ASKED[language], ANSWERED[language], strict=True):
        turns = [("user", asked.format(**words)), ("assistant", answered.format(**words))]
        yield {"messages": [{"role": role, "content": content} for role, content in turns]}


def build(split: SplitParams, corpus: Path) -> None:
    """Write both files, in a fixed shuffled order."""
    facts = [fact for name in ("en", "zh") for fact in read_jsonl(HERE / "facts" / f"{name}.jsonl")]
    known = [fact for fact in facts if split_of("", fact["id"], split) != "control"]
    order = random.Random(7)
    order.shuffle(known)
    (corpus / "statements.txt").write_text("\n\n".join(f["statement"] for f in known) + "\n", encoding="utf-8")
    conversations = [chat for fact in known for chat in chats(fact)]
    order.shuffle(conversations)
    write_jsonl(corpus / "chat-statements.jsonl", conversations)


if __name__ == "__main__":
    split = load_params(HERE.parents[1] / "params.yaml").prepare.split
    build(split, Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "corpus")
