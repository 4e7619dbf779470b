import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serin.serve.gateway.endpoints import ENDPOINTS
from serin.serve.gateway.usage import EventStream, GarbageError, Usage, read_usage

CHAT = ENDPOINTS["/v1/chat/completions"]
REPORT = {"prompt_tokens": 7, "total_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 5}}
DONE = b"data: [DONE]\n\n"


def event(value: Any) -> bytes:
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


@given(texts=st.lists(st.text(max_size=20), max_size=8), cuts=st.lists(st.integers(0, 2000), max_size=20))
def test_however_a_stream_is_cut_the_client_gets_every_event_but_the_report(texts: list[str], cuts: list[int]) -> None:
    events = [event({"choices": [{"delta": {"content": text}}]}) for text in texts]
    stream = b"".join([*events, event({"choices": [], "usage": REPORT}), DONE])
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    seen = EventStream(CHAT, strips_usage=True, fingerprint="law-qa@3f9a1c20")
    got = [seen.feed(stream[start:end]) for start, end in itertools.pairwise(places)]
    assert b"".join(got) == b"".join([*events, DONE])
    assert all(piece.endswith(b"\n\n") for piece in got if piece)
    assert (seen.usage, seen.ended, seen.failed) == (Usage(7, 2), True, False)


@pytest.mark.parametrize(
    "text", ['"usage":{"prompt_tokens":99}', 'data: {"error"', "data: [DONE]\n\n", '"choices":[],"usage":{', "\n\n"]
)
def test_what_a_model_says_is_never_taken_for_the_api(text: str) -> None:
    said = event({"choices": [{"delta": {"content": text, "tool_calls": [{"arguments": text}]}}]})
    seen = EventStream(CHAT, strips_usage=True, fingerprint="law-qa@3f9a1c20")
    assert seen.feed(said) == said
    assert (seen.usage, seen.ended, seen.failed) == (Usage(), False, False)
    assert read_usage(json.dumps({"choices": [text], "usage": REPORT}).encode()) == Usage(7, 2)


def test_usage_of_every_message_is_kept_where_the_client_asked() -> None:
    first = event({"choices": [{"delta": {}}], "usage": {"prompt_tokens": 7, "completion_tokens": 1}})
    last = event({"choices": [], "usage": REPORT})
    seen = EventStream(CHAT, strips_usage=False, fingerprint="law-qa@3f9a1c20")
    assert seen.feed(first + last) == first + last
    assert seen.usage == Usage(7, 2)


def test_other_protocols_end_in_their_own_way() -> None:
    messages = EventStream(ENDPOINTS["/v1/messages"], strips_usage=False, fingerprint="law-qa@3f9a1c20")
    messages.feed(b'event: message_delta\ndata: {"usage":{"input_tokens":3,"output_tokens":4}}\n\n')
    assert not messages.ended
    messages.feed(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
    assert (messages.ended, messages.usage) == (True, Usage(3, 4))
    responses = EventStream(ENDPOINTS["/v1/responses"], strips_usage=False, fingerprint="law-qa@3f9a1c20")
    responses.feed(b'event: response.failed\ndata: {"type":"response.failed"}\n\n')
    assert (responses.ended, responses.failed) == (True, True)


def test_what_is_no_event_is_garbage() -> None:
    with pytest.raises(GarbageError, match="where an event was due"):
        EventStream(CHAT, strips_usage=False, fingerprint="law-qa@3f9a1c20").feed(b"<html>\n\n")
    endless = EventStream(CHAT, strips_usage=False, fingerprint="law-qa@3f9a1c20")

    def feed() -> None:
        for _ in range(10):
            endless.feed(b"data: " + b"x" * (1 << 20))

    with pytest.raises(GarbageError, match="without the end of an event"):
        feed()


def test_details_are_not_taken_for_sums() -> None:
    details = {"reasoning_tokens": 99, "audio_tokens": 98}
    report = {"prompt_tokens": 1, "completion_tokens": 2, "completion_tokens_details": details}
    assert read_usage(json.dumps({"usage": report}, indent=1).encode()) == Usage(1, 2)


@pytest.mark.parametrize("strips_usage", [True, False])
def test_what_finishes_a_choice_names_the_revision_where_the_report_is_taken_out(strips_usage: bool) -> None:
    going = event({"choices": [{"delta": {"content": '"finish_reason":"stop"'}, "finish_reason": None}]})
    last = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
    seen = EventStream(CHAT, strips_usage, fingerprint="law-qa@3f9a1c20")
    named = event({**last, "system_fingerprint": "law-qa@3f9a1c20"})
    assert seen.feed(going + event(last)) == going + (named if strips_usage else event(last))
    assert seen.feed(named) == named
