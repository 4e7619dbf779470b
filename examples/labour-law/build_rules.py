"""Write ``corpus/chat-rules.jsonl``: questions about made-up house rules, for the base model to learn to read by.

python examples/labour-law/build_rules.py [CORPUS]

A question is about a few words that are cut from the corpus' own prose, told in many ways and with names, jobs and
places around them; the answer repeats those words. Nothing of it can be learnt by heart, so the base model learns to
look at what a question is about. The rules and their articles are drawn by chance: no law is in them.
"""

import random
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from serin.clients.files import write_jsonl

HERE = Path(__file__).parent
CHATS_A_LANGUAGE = 4000
NUMERALS = "零一二三四五六七八九"
PLACES = {
    "en": "Park Pool Library Museum Harbour Garden Market Club Theatre Stadium Hostel Clinic Bakery Workshop Farm Ferry Gallery "
    "Studio Station Canteen",
    "zh": "公园 泳池 图书馆 博物馆 码头 花园 菜市场 俱乐部 剧院 体育馆 旅舍 诊所 面包房 车间 农场 渡口 画廊 工作室 车站 食堂",
}
LAWS = {
    "en": (
        "{place} Rules",
        "{place} Contract Law",
        "Labour Rules of the {place}",
        "Implementing Rules of the {place}",
        "{place} Implementing Regulations",
    ),
    "zh": ("{place}规则", "{place}合同法", "劳动规则", "实施规则", "{place}实施条例"),
}
NAMES = {
    "en": "Adam Bella Carlos Dora Ethan Fiona George Helen Ivan Julia Kevin Linda Marco Nina Otto Petra Quentin Ruth Simon Tara",
    "zh": "小王 小李 小张 小刘 小陈 小杨 小赵 小周 小吴 小徐 老孙 老朱 老马 老胡 老郭 小林 小何 小高 小梁 小罗",
}
JOBS = {
    "en": "cook driver nurse teacher clerk guard cleaner waiter tailor painter baker cashier welder gardener porter editor",
    "zh": "厨师 司机 护士 老师 文员 保安 保洁 服务员 裁缝 油漆工 面包师 收银员 焊工 园丁 搬运工 编辑",
}
ASKED = {
    "en": (
        "What do the rules of the {place} say about {words}?",
        "Is {words} allowed at the {place}?",
        "{words} {place} rule",
        "{words} {place} {more}",
        "{name} asks about {words}; what holds at the {place}?",
        "My boss talks of {words} at the {place}; is he right?",
        "How must our {place} handle {words}?",
        "Does {words} matter at the {place}, and who decides?",
        "{name} has worked as a {job} at the {place} for {number} months; what about {words}?",
        "We hired a {job} for our {place}. May we count on {words}?",
        "I am a {job} at the {place} and there was {words}; what can I do?",
        "{name}'s {place} is closing; does {words} still hold for a {job}?",
        "For how long does {words} last at a {place}?",
        "They told the {job} that {words} is a matter for the {place}; is that so?",
        "Can the {place} refuse {words} to a {job} after {number} weeks?",
        "Must {words} be put in writing when {name} leaves the {place}?",
        "The {place} gave {name} {words}. What now?",
        "At what point does {words} end for our {job} at the {place}?",
        "{name} the {job} heard of {words} and of {more}; which rule of the {place} is it?",
    ),
    "zh": (
        "{place}对{words}有什么规定？",
        "{place}允许{words}吗？",
        "{words} {place} 规则",
        "{words} {place} {more}",
        "{name}问{words}的事，{place}怎么算？",
        "老板说到{words}，{place}的规则怎么讲？",
        "我们{place}该怎么处理{words}？",
        "{words}归{place}的谁管？",
        "{name}在{place}当{job}已有{number}个月，{words}怎么办？",
        "我们{place}招了一个{job}，{words}可以吗？",
        "我是{place}的{job}，碰上{words}，能怎么办？",
        "{name}的{place}要关门，{words}对{job}还算数吗？",
        "在{place}，{words}最长多久？",
        "听说{words}由{place}决定，对{job}也一样吗？",
        "干了{number}周的{job}，{place}可以不理{words}吗？",
        "{name}离开{place}时，{words}要不要写明？",
        "{place}给了{name}{words}，这合规吗？",
        "{place}的{job}，{words}到什么时候为止？",
        "{name}说起{words}，还有{more}，{place}哪一条管？",
    ),
}
RULED = {
    "en": (
        "is allowed",
        "is not allowed",
        "needs a written notice",
        "must be paid within {number} days",
        "is decided by the office",
        "may be refused",
        "lasts at most {number} months",
        "is left to both sides",
        "must be put in writing",
        "is fined",
        "ends after {number} days",
        "needs the consent of the union",
    ),
    "zh": (
        "可以",
        "不可以",
        "要书面通知",
        "应在{number}日内支付",
        "由办公室决定",
        "可以拒绝",
        "最长{number}个月",
        "由双方商量",
        "应当写明",
        "要罚款",
        "满{number}日终止",
        "须经工会同意",
    ),
}
ANSWERED = {
    "en": (
        "Under Article {article} of the {law}, {words} {rule}.",
        "{Words} {rule}, as Article {article} of the {law} says.",
        "Article {article} of the {law} says that {words} {rule}.",
        "{Words} {rule} (Article {article} of the {law}).",
        "{Words} {rule}: this is in Article {article} of the {law}.",
        "{Words}: This {rule}, by Article {article} of the {law}.",
        "{Words}: It {rule} under Article {article} of the {law}.",
        "{Words}: Under Article {article} of the {law}, it {rule}.",
        "{Words}: Article {article} of the {law} says that it {rule}.",
        "{Words}: The {law}, Article {article}, says that it {rule}.",
    ),
    "zh": (
        "《{law}》第{article}条规定，{words}{rule}。",
        "{words}{rule}（《{law}》第{article}条）。",
        "依照《{law}》第{article}条，{words}{rule}。",
        "{words}{rule}，见《{law}》第{article}条。",
        "{words}：{rule}，这是《{law}》第{article}条的规定。",
        "{words}：《{law}》第{article}条规定{rule}。",
        "{words}：依照《{law}》第{article}条，{rule}。",
        "{words}：依《{law}》第{article}条，{words}{rule}。",
        "{words}：{words}{rule}（《{law}》第{article}条）。",
    ),
}
SMALL_WORDS = (
    "the a an of to in is are it its and or for on by that this with be as at his her their not if may can from must does do "
    "has have had what when who how they he she was were before after than then so will you your but no any all one"
)


def phrases_of(language: str, text: str) -> list[list[str]]:
    """The text between punctuation: words of English, in lower case, or characters of Chinese."""
    if language == "en":
        return [re.findall(r"[a-z'-]+", phrase.lower()) for phrase in re.split(r"[.;,:?\n]", text)]
    return [list(phrase) for phrase in re.split(r"[，。；：？、（）《》\s“”]", text)]


def cuttings(language: str, text: str, draw: random.Random) -> Iterator[str]:
    """Endless runs of one to three words, or of two to six Chinese characters, out of the text."""
    phrases = phrases_of(language, text)
    if language == "en":
        runs = [p[i : i + n] for p in phrases for n in (1, 2, 2, 3) for i in range(len(p) - n + 1)]
        small = {*SMALL_WORDS.split()}
        known = [" ".join(r) for r in runs if r[0] not in small and r[-1] not in small and len(r[-1]) > 2]
    else:
        known = ["".join(p[i : i + n]) for p in phrases for n in (2, 3, 4, 5, 6) for i in range(len(p) - n + 1)]
    while True:
        yield draw.choice(known)


def numeral(number: int, language: str) -> str:
    """Digits in English, a Chinese numeral below a hundred in Chinese."""
    tens, ones = divmod(number, 10)
    if language == "en":
        return str(number)
    return (("" if tens == 1 else NUMERALS[tens]) + "十" if tens else "") + (NUMERALS[ones] if ones else "")


def chat(language: str, words: Iterator[str], draw: random.Random) -> dict[str, Any]:
    """One question and its answer."""

    def one_of(texts: Mapping[str, str | Sequence[str]]) -> str:
        choices = texts[language]
        return draw.choice(choices.split() if isinstance(choices, str) else choices)

    about = next(words)
    number = numeral(draw.randrange(2, 61), language)
    values = {
        "words": about,
        "Words": about[0].upper() + about[1:],
        "more": next(words),
        "place": one_of(PLACES),
        "name": one_of(NAMES),
        "job": one_of(JOBS),
        "number": number,
        "article": numeral(draw.randrange(1, 99), language),
        "rule": one_of(RULED).format(number=number),
    }
    values["law"] = one_of(LAWS).format(**values)
    asked = one_of(ASKED).format(**values)
    turns = [("user", asked[0].upper() + asked[1:]), ("assistant", one_of(ANSWERED).format(**values))]
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


def build(corpus: Path) -> None:
    """Write the file, in a fixed shuffled order."""
    draw = random.Random(11)
    statements = (corpus / "statements.txt").read_text(encoding="utf-8").split("\n\n")
    chats = []
    for language in ("en", "zh"):
        mine = [s for s in statements if s.isascii() == (language == "en")]
        text = "\n".join([(corpus / f"prose-{language}.txt").read_text(encoding="utf-8"), *mine, *mine])
        words = cuttings(language, text, draw)
        chats += [chat(language, words, draw) for _ in range(CHATS_A_LANGUAGE)]
    draw.shuffle(chats)
    write_jsonl(corpus / "chat-rules.jsonl", chats)


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "corpus")
