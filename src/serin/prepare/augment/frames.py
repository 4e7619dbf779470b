"""What people say around a question, in English and Chinese, and which of it suits a question of a given length."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

FrameLanguage = Literal["en", "zh"]

# The share of new text decides what becomes of a variant. Its shingles are the question's and the frame's, so below a
# third of the question's length it stays a near duplicate of its parent (Jaccard 1 / (1 + 1/3) = 0.75, and the usual
# threshold is 0.8). Far longer than the question, it makes near duplicates of any two that share the frame.
_LEAST_SHARE = 0.35
_MOST_SHARE = 1.25
_QUESTION = re.compile(r"[?？]|[吗呢]$")
_ENDS_SENTENCE = re.compile(r"[.!?…。！？][\"'”’」』)）]*$")


@dataclass(frozen=True, slots=True)
class Frame:
    """What is said before and after; either may be empty. ``name`` says which rule made a variant."""

    name: str
    before: str
    after: str

    @property
    def chars(self) -> int:
        """How much text it adds."""
        return len(self.before) + len(self.after)

    def around(self, question: str, language: FrameLanguage) -> str:
        """The question within the frame, on lines of its own where it has several."""
        blank = "\n" if "\n" in question else " " if language == "en" else ""
        text = f"{self.before}{blank}{question}" if self.before else question
        if not self.after:
            return text
        blank = blank if _ENDS_SENTENCE.search(question) else "\n"
        return f"{text}{blank}{self.after}"


# None of it bears on the answer, and none of it names a number: what is asked must stay the same. Chinese frames keep
# clear of numerals also where they count nothing, since they would look like one.
_BEFORE: Mapping[FrameLanguage, Mapping[str, str]] = {
    "en": {
        "greeting": "Hello!",
        "please": "Please help:",
        "bother": "Sorry to bother you!",
        "advice": "I need some advice:",
        "look": "Could you have a look at this for me?",
        "thanks_to_you": "I was told that you are the right person to turn to with this:",
        "note": "I am putting together a short note for my team, and this point is still open:",
        "stuck": "I have been turning this over since yesterday and cannot get any further without help from someone who knows:",
        "newcomer": (
            "I am rather new to this subject, and the people around me are no more at home in it than I am, so please bear "
            "with me if this is simple:"
        ),
    },
    "zh": {
        "greeting": "您好！",
        "please": "麻烦看看：",
        "advice": "想听听您的意见：",
        "look": "能不能帮我看看这个：",
        "thanks_to_you": "别人说这类事情找您最合适：",
        "note": "我在给团队写说明，这点还没弄清楚：",
        "stuck": "这件事我从昨天琢磨到现在，身边没有懂行的人，还是没有头绪：",
        "newcomer": "我刚接触这方面的内容，周围的同事也不太熟悉，要是问得太简单还请多包涵，想请您帮忙看看：",
    },
}
_BEFORE_QUESTION: Mapping[FrameLanguage, Mapping[str, str]] = {
    "en": {
        "question": "I have a question:",
        "know": "I would like to know:",
        "colleague": "A colleague asked me this today:",
        "friend": "A friend came to me with this, and I did not know what to say:",
        "meeting": "This came up in our meeting, and nobody in the room could answer it:",
        "searched": "I have looked in several places and still have no clear answer to this:",
    },
    "zh": {
        "question": "我有个问题：",
        "know": "我想知道：",
        "colleague": "同事今天问我：",
        "friend": "朋友问起这件事，我没能答上来：",
        "meeting": "开会时有人提到这个，在场的人都答不上来：",
        "searched": "我查了不少资料，还是没有找到明确的答案：",
    },
}
_AFTER: Mapping[FrameLanguage, Mapping[str, str]] = {
    "en": {
        "thanks": "Thanks!",
        "in_advance": "Many thanks in advance.",
        "sure": "I want to be sure before I go on.",
        "soon": "Somebody is waiting for my reply, so I would be grateful for your help.",
    },
    "zh": {
        "thanks": "谢谢。",
        "in_advance": "麻烦您了。",
        "sure": "我想先弄清楚再往下做。",
        "soon": "有人还在等我回复，麻烦您了。",
    },
}


def _frames(language: FrameLanguage, before: Mapping[str, str]) -> tuple[Frame, ...]:
    pairs = product([("", ""), *before.items()], [("", ""), *_AFTER[language].items()])
    return tuple(Frame("+".join(filter(None, (b, a))), said, added) for (b, said), (a, added) in pairs if b or a)


_ANY: Mapping[FrameLanguage, tuple[Frame, ...]] = {
    language: _frames(language, before) for language, before in _BEFORE.items()
}
_ANY_OR_QUESTION: Mapping[FrameLanguage, tuple[Frame, ...]] = {
    language: _frames(language, {**before, **_BEFORE_QUESTION[language]}) for language, before in _BEFORE.items()
}


def frames_for(question: str, language: FrameLanguage, all_chars: int) -> Sequence[Frame]:
    """The frames that suit a question: what introduces a question stands before one only.

    ``all_chars`` is the length of all that users say in the conversation. There is no frame for the longest ones: no
    natural one would make a different text of them.
    """
    frames = _ANY_OR_QUESTION if _QUESTION.search(question.rstrip()) else _ANY
    return [
        frame
        for frame in frames[language]
        if _LEAST_SHARE * all_chars <= frame.chars <= max(_MOST_SHARE * len(question), 2)
    ]


def choose_frames(frames: Sequence[Frame], count: int, seed: int, record: str) -> list[Frame]:
    """Up to ``count`` frames, by the hash of seed, record and place; no two of them have words in common."""
    left, chosen = list(frames), list[Frame]()
    while left and len(chosen) < count:
        drawn = hashlib.sha256(f"{seed}:{record}:{len(chosen)}".encode()).digest()
        frame = left[int.from_bytes(drawn[:8], "big") % len(left)]
        chosen.append(frame)
        left = [other for other in left if not _overlap(frame, other)]
    return chosen


def _overlap(one: Frame, other: Frame) -> bool:
    return one.before == other.before != "" or one.after == other.after != ""
