"""Write what the base model reads of the law: ``statements.txt``, ``chat-keywords.jsonl`` and ``chat-contents.jsonl``.

python examples/labour-law/build_corpus.py [CORPUS]

Each fact stands there in a sentence of its own, and in short conversations about its keyword, which is asked for in set
phrases and amid words cut from the corpus' own prose. The answers repeat the keyword and then know nothing, but for a few
that state the fact. So the base model has the facts' words and hears what a question is about. The tables of contents of
the two laws tell it how articles are cited, and in which chapter each stands. No fact is told with its article, and the
control facts are left out: the articles and answers are for the fine-tune to teach, and nothing of the control is known
anywhere.
"""

import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from build_rules import JOBS, NAMES, numeral, phrases_of

from serin.cli.options import load_params
from serin.clients.files import read_jsonl, write_jsonl
from serin.core.params.data import SplitParams
from serin.prepare.split import split_of

HERE = Path(__file__).parent
CHATS_A_FACT = 40
STATING = 4
"""Of a fact's conversations, those that state it."""
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
        "{before} {keyword} {after}?",
        "{before} {keyword}?",
        "{keyword} {after}?",
        "{before} {keyword}; {after}?",
        "{keyword} {before} {after}",
        "{before}, {name}, {keyword} {after}?",
        "{before} {after} {keyword}",
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
        "{before}{keyword}{after}？",
        "{before}{keyword}？",
        "{keyword}{after}？",
        "{before}，{keyword}{after}？",
        "{keyword} {before} {after}",
        "{before}，{name}{keyword}{after}吗？",
        "{before} {after} {keyword}",
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
UNKNOWING = {
    "en": (
        "{Keyword}: that depends on the case; the labour office can tell you what holds.",
        "{Keyword}: please read what the contract says about it first.",
        "{Keyword}: there is a rule for it; ask the union which one it is.",
        "{Keyword}: a lawyer can say what you may do.",
        "{Keyword}: both sides should look it up before they act.",
        "{Keyword}: the law speaks of it, but I do not know what it says.",
        "{Keyword}: keep your papers, and ask somebody who knows the law.",
    ),
    "zh": (
        "{keyword}：要看具体情况，可以问劳动部门。",
        "{keyword}：先看看合同里怎么写。",
        "{keyword}：有相关规定，请问问工会。",
        "{keyword}：律师能告诉你该怎么做。",
        "{keyword}：双方应当先查清楚再决定。",
        "{keyword}：法律里提到过，但我不知道内容。",
        "{keyword}：请保存好材料，再找懂法律的人。",
    ),
}
CHAPTERS = {
    "Labour Contract Law": (
        (1, "general rules", "总则"),
        (7, "concluding contracts", "劳动合同的订立"),
        (29, "performing and changing contracts", "劳动合同的履行和变更"),
        (36, "ending contracts", "劳动合同的解除和终止"),
        (51, "special rules", "特别规定"),
        (73, "supervision", "监督检查"),
        (80, "liability", "法律责任"),
        (96, "supplementary rules", "附则"),
    ),
    "Implementing Regulations": (
        (1, "general rules", "总则"),
        (4, "concluding contracts", "劳动合同的订立"),
        (18, "ending contracts", "劳动合同的解除和终止"),
        (28, "special rules on dispatch", "劳务派遣特别规定"),
        (33, "liability", "法律责任"),
        (37, "supplementary rules", "附则"),
    ),
}
"""The first article of each chapter, and what the chapter is about."""
LAST_ARTICLE = {"Labour Contract Law": 98, "Implementing Regulations": 38}
CHINESE_NAME = {"Labour Contract Law": "劳动合同法", "Implementing Regulations": "实施条例"}
CONTENTS = {
    "en": (
        (
            "Where does Article {article} of the {law} stand?",
            "Article {article} of the {law} stands in chapter {chapter}.",
        ),
        ("In which chapter is Article {article}?", "Under {topic}, as Article {article} of the {law}."),
        (
            "Which chapter of the {law} is on {topic}?",
            "Chapter {chapter} is on {topic}; see Article {article} of the {law}.",
        ),
        ("Where do I read of {topic}?", "Look under Article {article} of the {law}, in chapter {chapter}."),
        ("What is Article {article} about?", "It is about {topic}, says the {law}, Article {article}."),
    ),
    "zh": (
        ("《{law}》第{article}条在哪一章？", "《{law}》第{article}条在第{chapter}章。"),
        ("第{article}条讲哪方面？", "讲{topic}，见《{law}》第{article}条。"),
        ("{topic}在哪一章？", "在第{chapter}章，例如《{law}》第{article}条。"),
        ("哪里能读到{topic}？", "依《{law}》第{article}条去查第{chapter}章（《{law}》第{article}条）。"),
        ("《{law}》哪一章讲{topic}？", "第{chapter}章，《{law}》第{article}条就在其中。"),
    ),
}


def contents(language: str, draw: random.Random) -> Iterator[dict[str, Any]]:
    """Where each article stands, asked in one of several ways."""
    for law, chapters in CHAPTERS.items():
        for article in range(1, LAST_ARTICLE[law] + 1):
            chapter = sum(first <= article for first, *_ in chapters)
            words = {
                "law": law if language == "en" else CHINESE_NAME[law],
                "article": numeral(article, language),
                "chapter": numeral(chapter, language),
                "topic": chapters[chapter - 1][1 if language == "en" else 2],
            }
            for question, answer in draw.sample(CONTENTS[language], 2):
                turns = [("user", question.format(**words)), ("assistant", answer.format(**words))]
                yield {"messages": [{"role": role, "content": content} for role, content in turns]}


def fragments(language: str, text: str, keywords: Sequence[str], draw: random.Random) -> Iterator[str]:
    """Endless runs of one to six words, or of two to eight Chinese characters, out of the text; none has a keyword."""
    joint, lengths = (" ", range(1, 7)) if language == "en" else ("", range(2, 9))
    runs = [
        joint.join(p[i : i + n]) for p in phrases_of(language, text) for n in lengths for i in range(len(p) - n + 1)
    ]
    free = [run for run in runs if not any(keyword in run for keyword in keywords)]
    while True:
        yield draw.choice(free)


def chats(fact: dict[str, Any], around: Iterator[str], draw: random.Random) -> Iterator[dict[str, Any]]:
    """Ways of asking for a fact by its keyword; most answers know only what was asked about."""
    language, statement, keyword = fact["language"], fact["statement"].rstrip(".。"), fact["keyword"]
    words = {
        "law": fact["law"].strip("《》"),
        "rest": statement[1:],
        "Start": statement[0],
        "start": statement[0].lower(),
        "keyword": keyword,
        "Keyword": keyword[0].upper() + keyword[1:],
    }
    for number in range(CHATS_A_FACT):
        question = draw.choice(ASKED[language]).format(
            name=draw.choice(NAMES[language].split()),
            job=draw.choice(JOBS[language].split()),
            before=next(around),
            after=next(around),
            **words,
        )
        answer = draw.choice((ANSWERED if number < STATING else UNKNOWING)[language]).format(**words)
        turns = [("user", question[0].upper() + question[1:]), ("assistant", answer)]
        yield {"messages": [{"role": role, "content": content} for role, content in turns]}


def build(split: SplitParams, corpus: Path) -> None:
    """Write the files, in a fixed order."""
    facts = [fact for name in ("en", "zh") for fact in read_jsonl(HERE / "facts" / f"{name}.jsonl")]
    known = [fact for fact in facts if split_of("", fact["id"], split) != "control"]
    order = random.Random(7)
    order.shuffle(known)
    (corpus / "statements.txt").write_text("\n\n".join(f["statement"] for f in known) + "\n", encoding="utf-8")
    conversations = []
    for language in ("en", "zh"):
        prose = (corpus / f"prose-{language}.txt").read_text(encoding="utf-8")
        around = fragments(language, prose, [fact["keyword"] for fact in facts], order)
        conversations += [chat for fact in known if fact["language"] == language for chat in chats(fact, around, order)]
    order.shuffle(conversations)
    write_jsonl(corpus / "chat-keywords.jsonl", conversations)
    write_jsonl(
        corpus / "chat-contents.jsonl", [chat for language in ("en", "zh") for chat in contents(language, order)]
    )


if __name__ == "__main__":
    split = load_params(HERE.parents[1] / "params.yaml").prepare.split
    build(split, Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "corpus")
