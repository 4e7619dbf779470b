"""Why a request never came to a revision, nor feedback to a rollout: words for a counter, of which none is a client's own."""

from collections.abc import Callable
from typing import Literal

Refusal = Literal[
    "no_key",
    "wrong_key",
    "guessing",
    "scope",
    "origin",
    "no_operators",
    "key_in_flight",
    "key_requests",
    "key_tokens",
    "body",
    "model",
    "starting",
    "override",
    "forged_id",
    "no_stable",
    "draining",
]
"""What stood in the way.

no_key         401: none was given
wrong_key      401: the given one is not known, or has expired
guessing       429: too many wrong ones came from that address
scope          403: the key lacks the scope that the path needs
origin         403: a page of another machine, and the gateway asks for no key
no_operators   403: others reach the gateway, and it asks for no key, so nobody is an operator
key_in_flight  429: the key has as many requests under way as it may
key_requests   429: the key's requests of a minute are used up
key_tokens     429: the key's tokens of a minute are used up
body           4xx: it is too large, too slow, no JSON, or asks for something in a way that is not taken; or it never came whole
model          404: the model that it names is not served
starting       503: the revision that it names does not answer yet, or not again after a crash
override       403: it names a revision, and may not
forged_id      403: feedback for an answer that no gateway gave
no_stable      503: no revision is there for everybody
draining       503: this replica is being drained
"""

Refused = Callable[[Refusal], None]
"""Is told of every refusal; it must return at once."""


def unheard(reason: Refusal) -> None:
    """For a gateway that nobody watches."""
