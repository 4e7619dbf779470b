"""Which questions are looked at more closely, by a judge or by people."""

from collections.abc import Sequence

from serin.core.digest import digest_of


def draw(ids: Sequence[str], count: int, purpose: str) -> list[int]:
    """Indices of ``count`` ids, in their order: those whose digest with ``purpose`` is smallest.

    New data takes the place of few of those drawn before, and where ``count`` exceeds the ids, all are drawn.
    """
    smallest = sorted(range(len(ids)), key=lambda i: (digest_of([purpose, ids[i]]), i))[:count]
    return sorted(smallest)
