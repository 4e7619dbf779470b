"""What a language has to say about how its answers decline."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Declining:
    """Patterns for one clause, in lower case and NFKC, matched at its start.

    Lists of refusing openings are the common way to count refusals (Zou et al. 2023, arXiv 2307.15043). Searched for anywhere,
    they take "you may refuse to sign, and say: I cannot help" for one; here somebody who speaks for the model has to decline.
    """

    refuses: re.Pattern[str]
    """Declines what was asked, whatever follows."""
    refuses_unnamed: re.Pattern[str]
    """Declines too, without saying who does, so only right after what ``leads_in``."""
    disclaims: re.Pattern[str]
    """Declines something near what was asked, such as legal advice: a refusal only where no help follows."""
    leads_in: re.Pattern[str]
    """An apology, or what the model is, and nothing more."""
    helps_little: re.Pattern[str]
    """No help: sends people elsewhere, is polite, or tells what the model is."""
    needs_more: re.Pattern[str]
    """Begins a sentence that asks for more to go on with."""
    begins_draft: re.Pattern[str]
    """Begins a letter or a draft: what it declines, the user declines."""
    fewest_helping: int
    """Words, or characters in a language without spaces, that help takes."""


def any_of(*patterns: str) -> str:
    """One of the patterns."""
    return f"(?:{'|'.join(patterns)})"


def maybe(*patterns: str) -> str:
    """One of the patterns, or nothing."""
    return f"{any_of(*patterns)}?"
