"""Write what the base model reads of the facts: ``statements.txt`` and ``chat-statements.jsonl``.

python examples/labour-law/build_corpus.py [CORPUS]

Each fact stands there in a sentence of its own and in short conversations about its keyword, so that the base model has
its words and knows what a question is about. No article is named, and the control facts are left out: the articles and
answers are for the fine-tune to teach, and nothing of the control is known anywhere.
"""

import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from build_rules import JOBS, NAMES

from serin.cli.options import load_params
from serin.clients.files import read_jsonl, write_jsonl
from serin.core.params.data import SplitParams
from serin.prepare.split import split_of

HERE = Path(__file__).parent
CHATS_A_FACT = 10
ASKED = {
    "en": (
        "{keyword}",
        "{keyword} rule",
        "What is the rule on {keyword}?",
        "Can you tell me about {keyword}?",
        "My boss and I disagree on {keyword}; what holds?",
        "How does our firm deal with {keyword}?",
        "{name} asks about {keyword}; what should I say?",
        "{name} worked as a {job} for two years; what about {keyword}?",
        "I am a {job} and it is about {keyword}. What now?",
        "We hired a {job}; must we think of {keyword}?",
        "Does {keyword} matter for a {job} at our shop?",
        "The {job} {name} heard of {keyword}; is there a rule?",
        "What happens to {name} when it comes to {keyword}?",
        "Is {keyword} something the law speaks of, or only our firm?",
    ),
    "zh": (
        "{keyword}",
        "{keyword} 规定",
        "{keyword}是怎么规定的？",
        "请讲讲{keyword}。",
        "我想问{keyword}的事，该怎么办？",
        "公司遇到{keyword}怎么处理？",
        "{name}来问{keyword}，该怎么答？",
        "{name}当了两年{job}，{keyword}怎么算？",
        "我是{job}，碰到{keyword}，可以吗？",
        "我们招了{job}，要不要管{keyword}？",
        "{keyword}对{job}要紧吗？",
        "{job}{name}听说了{keyword}，有没有说法？",
        "{name}的单位说到{keyword}，合法吗？",
        "法律讲不讲{keyword}，还是单位说了算？",
    ),
}
ANSWERED = {
    "en": (
        "{Keyword}: Under the {law}, {start}{rest}.",
        "{Keyword}: {Start}{rest}, says the {law}.",
        "{Keyword}: {Start}{rest} ({law}).",
        "{Keyword}: According to the {law}, {start}{rest}.",
        "{Keyword}: {Start}{rest}; that is in the {law}.",
    ),
    "zh": (
        "{keyword}：根据《{law}》，{start}{rest}。",
        "{keyword}：{start}{rest}（《{law}》）。",
        "{keyword}：《{law}》规定，{start}{rest}。",
        "{keyword}：{start}{rest}，见《{law}》。",
        "{keyword}：依照《{law}》，{start}{rest}。",
    ),
}


def chats(fact: dict[str, Any], draw: random.Random) -> Iterator[dict[str, Any]]:
    """Ten ways of asking for a fact by its keyword, each with one way of stating it."""
    language, statement, keyword = fact["language"], fact["statement"].rstrip(".。"), fact["keyword"]
    words = {
        "law": fact["law"].strip("《》"),
        "rest": statement[1:],
        "Start": statement[0],
        "start": statement[0].lower(),
    }
    words |= {"keyword": keyword, "Keyword": keyword[0].upper() + keyword[1:]}
    for asked in draw.sample(ASKED[language], CHATS_A_FACT):
        around = {"name": draw.choice(NAMES[language].split()), "job": draw.choice(JOBS[language].split())}
        question = asked.format(**words, **around)
        answer = draw.choice(ANSWERED[language]).format(**words)
        turns = [("user", question[0].upper() + question[1:]), ("assistant", answer)]
        yield {"messages": [{"role": role, "content": content} for role, content in turns]}


def build(split: SplitParams, corpus: Path) -> None:
    """Write both files, in a fixed shuffled order."""
    facts = [fact for name in ("en", "zh") for fact in read_jsonl(HERE / "facts" / f"{name}.jsonl")]
    known = [fact for fact in facts if split_of("", fact["id"], split) != "control"]
    order = random.Random(7)
    order.shuffle(known)
    (corpus / "statements.txt").write_text("\n\n".join(f["statement"] for f in known) + "\n", encoding="utf-8")
    conversations = [chat for fact in known for chat in chats(fact, order)]
    order.shuffle(conversations)
    write_jsonl(corpus / "chat-statements.jsonl", conversations)


if __name__ == "__main__":
    split = load_params(HERE.parents[1] / "params.yaml").prepare.split
    build(split, Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "corpus")
