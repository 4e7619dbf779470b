"""What the report and the data card call things, in words: reasons, steps, types, splits, shares."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Words:
    """A short name, and a sentence that says what is meant."""

    name: str
    meaning: str


def words_of(table: Mapping[str, Words], key: str) -> Words:
    """The words for ``key``; its own name, and no meaning, where the table does not know it."""
    return table.get(key) or Words(key.replace("_", " "), "")


REASONS: Mapping[str, Words] = {
    "not_json": Words("not JSON", "The line is no JSON value, or JSON nested deeper than anyone writes it."),
    "not_utf8": Words("broken bytes", "Its bytes are no text in the encoding of the file."),
    "too_large": Words("too large", "Longer in its file than max_record_bytes; it was not read whole."),
    "wrong_columns": Words("wrong columns", "The row has more or fewer cells than the header has names."),
    "broken_quotes": Words(
        "broken quotes", "A quote in the table is never closed, so that cells and rows run together."
    ),
    "unknown_format": Words("unknown format", "No layout of questions and answers that is known fits the record."),
    "mixed_format": Words("mixed format", "Laid out in another way than most of the first records of its file."),
    "incomplete": Words("incomplete", "A captured answer that was cut off before its end."),
    "other_revision": Words("other revision", "Captured from another revision than the source asks for."),
    "low_score": Words("low score", "A captured answer that nobody rated as well as the source's min_score asks for."),
    "unknown_role": Words("unknown role", "Somebody speaks who is not the system, a user, the assistant or a tool."),
    "empty_turn": Words("empty turn", "A turn before the last one says nothing."),
    "empty_answer": Words("empty answer", "The last answer is empty: there is nothing to learn from it."),
    "role_order": Words(
        "role order", "User and assistant do not take turns, or the conversation does not end with the assistant."
    ),
    "nothing_to_train": Words("nothing to train", "No turn of the assistant is marked as one to train on."),
    "language": Words("language", "Written in a language that is not among those to keep."),
    "personal_data": Words("personal data", "Holds personal data of a type whose records are to be dropped."),
    "sensitive_words": Words("sensitive words", "Holds a word of the lists that this domain does not want."),
    "too_long": Words(
        "too long", "More tokens than max_tokens, counted by the base model's tokenizer and chat template."
    ),
    "template_refuses": Words(
        "template refuses", "The base model's chat template cannot write down such a conversation."
    ),
    "exact_duplicate": Words(
        "exact duplicate", "The same as an earlier record, once case, width and spaces are evened out."
    ),
    "near_duplicate": Words("near duplicate", "Shares nearly all of its wording with an earlier record."),
    "semantic_duplicate": Words("semantic duplicate", "Says the same as an earlier record in other words."),
    "benchmark": Words("benchmark", "Resembles a record of a benchmark, which would no longer measure anything."),
    "held_out_group": Words(
        "held-out group", "Of a group that stands in a given test or validation file, where groups are held out whole."
    ),
    "over_weight": Words("over weight", "More of its source than the weight given to it lets into the train split."),
}
"""Why a record is rejected."""

STEPS: Mapping[str, Words] = {
    "read": Words("read", "every record found in the files"),
    "readable": Words("readable", "could be parsed, in a known format"),
    "turns": Words("turns in order", "roles and turns make a conversation"),
    "personal_data": Words("personal data", "no type that is to be dropped"),
    "sensitive_words": Words("sensitive words", "none that is to be dropped"),
    "language": Words("language", "one of those to keep"),
    "length": Words("length", "at most max_tokens"),
    "exact": Words("exact duplicates", "unlike every earlier record"),
    "near": Words("near duplicates", "nor in nearly the same words"),
    "semantic": Words("semantic duplicates", "nor in other words"),
    "benchmark": Words("benchmarks", "nor like a record of a benchmark"),
    "groups": Words("groups", "of no group that is held out"),
    "mix": Words("mix", "within the weight of its source"),
}
"""What a record has got past, in the order of ``quality.json``."""

MENDINGS: Mapping[str, Words] = {
    "encoding": Words("encoding", "Text that was decoded wrongly once, put right."),
    "normalisation": Words("normalisation", "Characters that have several spellings in Unicode, in one of them."),
    "invisible": Words("invisible characters", "Control and zero-width characters, taken out."),
    "markup": Words("markup", "HTML tags and entities left over from web pages, taken out."),
    "white_space": Words("white space", "Runs of spaces and empty lines, and spaces at the ends."),
    "truncated": Words("truncated", "Cut after the last whole exchange that fits into max_tokens."),
}
"""What was put right in records that were kept."""

PERSONAL_DATA: Mapping[str, Words] = {
    "EMAIL": Words("e-mail address", "Of the form name@domain."),
    "PHONE": Words("phone number", "International numbers with +, and Chinese mobiles."),
    "RESIDENT_ID": Words("Chinese resident id", "With a right date and check character (GB 11643)."),
    "BANK_CARD": Words("bank card", "Numbers that pass Luhn's check (ISO/IEC 7812-1)."),
    "IBAN": Words("IBAN", "Of the right form and checksum for their country (ISO 13616)."),
    "IP_ADDRESS": Words("IP address", "Public IPv4 and IPv6 addresses."),
    "SECRET": Words("secret", "Keys, tokens, and passwords in assignments."),
}
"""Types of personal data, by the name that stands in their placeholder."""

ACTIONS: Mapping[str, Words] = {
    "redact": Words("redacted", "replaced by a placeholder"),
    "drop": Words("dropped", "its records were rejected"),
    "report": Words("reported only", "left where it stands"),
    "ignore": Words("ignored", "not looked for"),
}
"""What was done about a type of personal data."""

SPLITS: Mapping[str, Words] = {
    "train": Words("train", "what is learnt from"),
    "validation": Words("validation", "chooses the best checkpoint"),
    "test": Words("test", "judges the tuned model"),
    "control": Words("control", "whole groups held out: a gain here is a leak"),
}
"""What a split is for."""

AUGMENTED: Mapping[str, Words] = {
    "rules": Words("variants by rule", "Changes to a question that keep its meaning; no model was asked."),
    "paraphrase": Words("paraphrases", "A model put the question in other words; the answer was kept."),
    "questions": Words("questions from documents", "A model asked and answered from a passage of a document."),
}
"""Where augmented records come from."""


def by_count(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Names with their counts, the commonest first, and by name where they are equal."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def in_order(table: Mapping[str, Words], values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Names with their values in the order of the table, and those it does not know after them by name."""
    known = [(name, values[name]) for name in table if name in values]
    return known + sorted((name, value) for name, value in values.items() if name not in table)


def share(part: float, whole: float) -> str:
    """``part`` of ``whole`` as a percentage, never rounded to none or to all of it; a dash where there is no whole."""
    if not whole:
        return "–"
    value = part / whole
    if 0 < value < 0.001:
        return "<\N{NO-BREAK SPACE}0.1\N{NO-BREAK SPACE}%"
    if 0.999 < value < 1:
        return ">\N{NO-BREAK SPACE}99.9\N{NO-BREAK SPACE}%"
    return f"{100 * value:.1f}\N{NO-BREAK SPACE}%"


def number(value: float) -> str:
    """``value`` with commas between the thousands."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
