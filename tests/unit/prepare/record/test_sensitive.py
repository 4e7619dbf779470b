"""Lists find what is blatant and nothing sober; a model may only take back what they found."""

import json
from pathlib import Path
from typing import Any

import pytest

from serin.clients.endpoint import Endpoint
from serin.core.conversation import Conversation, Message
from serin.core.errors import ConfigError
from serin.core.params import EndpointParams, SensitiveWordParams
from serin.core.words import WordLists
from serin.prepare.record.sensitive import confirm, load_lists, requests_to_confirm


@pytest.fixture(scope="module")
def shipped() -> WordLists:
    return load_lists(SensitiveWordParams())


@pytest.mark.parametrize(
    ("text", "lists"),
    [
        ("Here you can Buy Cocaine, cheaply.", {"en"}),
        ("BUY COCAINE", {"en"}),
        ("buy cocaines", set()),
        ("要不要来我们的真人百家乐？", {"zh"}),
        ("真人百家乐 and heroin for sale", {"en", "zh"}),
        ("K粉包邮", {"zh"}),
        ("How long may a probation period last?", set()),
        ("", set()),
    ],
)
def test_the_shipped_lists(shipped: WordLists, text: str, lists: set[str]) -> None:
    assert shipped.find(text) == lists


@pytest.mark.parametrize(
    "text",
    [
        "May I be dismissed after a positive drug test, and are opioids for my back an excuse?",
        "How do I kill a process that hangs, and why did the child process die?",
        "The casino hired me as a dealer; does the night shift count as overtime?",
        "A colleague threatened suicide. Whom do I call?",
        "We sell kitchen knives and airsoft guns; which licence do we need?",
        "My card was stolen and somebody opened a fake account. Is this a scam?",
        "She filed a complaint of sexual harassment and was told that adult content was found on her laptop.",
        "Do I have to repay the deposit bonus if I cancel the account?",
        "Cocktails, an assessment, Scunthorpe, Dickens and a document of Essex.",
        "员工因赌博被行政拘留，公司可以解除劳动合同吗？",
        "吸毒人员能不能入职？体检要查毒品吗？",
        "同事说想自杀，我该打哪个电话求助？",
        "代开发票和办理居住证要带哪些材料？",
        "按照条约炮制的条款，由于进出口爆发式增长，他的听话水平提高了。",
        "工伤评定、性骚扰投诉、成人教育和枪支管理的规定在哪里？",
        "遇到电信诈骗、刷单骗局，银行卡被冻结怎么办？",
    ],
)
def test_sober_talk_of_hard_things_is_not_found(shipped: WordLists, text: str) -> None:
    assert shipped.find(text) == set()


def test_the_example_is_clean(shipped: WordLists) -> None:
    raw = Path("examples/labour-law/raw")
    assert [path.name for path in sorted(raw.iterdir()) if shipped.find(path.read_text(encoding="utf-8"))] == []


def test_a_bad_file_is_refused_by_the_name_of_its_section(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"own\.txt cannot be read.*edit prepare\.sensitive_words\.files"):
        load_lists(SensitiveWordParams(files=[str(tmp_path / "own.txt")]))


def test_without_lists_nothing_is_found() -> None:
    assert load_lists(SensitiveWordParams(lists=[])).find("buy cocaine") == set()
    assert load_lists(SensitiveWordParams(action="ignore")).find("buy cocaine") == set()


def conversation(text: str) -> Conversation:
    return Conversation((Message("user", text), Message("assistant", "Well.")), {"id": text[:10]})


def endpoint(chat_server: Any, tmp_path: Path, **params: Any) -> Endpoint:
    params = {"retries": 0, "concurrency": 2, **params}
    return Endpoint(EndpointParams(url=chat_server.url, cache=str(tmp_path / "cache"), **params), {})


@pytest.mark.parametrize(
    ("answer", "is_found"),
    [
        ("yes", True),
        ("No.", False),
        ('"no"', False),
        ("**No**, it warns", False),
        ("否", False),
        ("Nobody knows", True),
    ],
)
def test_a_model_takes_back_what_it_denies(chat_server: Any, tmp_path: Path, answer: str, is_found: bool) -> None:
    chat_server.answer = lambda *_: chat_server.completion(answer)
    assert confirm(endpoint(chat_server, tmp_path), [conversation("text")]) == [is_found]
    assert "text\nWell." in chat_server.questions[0]


def test_what_was_not_answered_counts_as_found(chat_server: Any, tmp_path: Path) -> None:
    chat_server.answer = lambda _, prompt: (
        chat_server.Reply(500, json.dumps({})) if "second" in prompt else chat_server.completion("no")
    )
    asked = endpoint(chat_server, tmp_path, max_requests=3)
    texts = ["first", "second", "third", "fourth"]
    assert confirm(asked, [conversation(text) for text in texts]) == [False, True, False, True]
    assert (asked.usage.failed, asked.usage.unasked) == (1, 1)


def test_a_long_text_is_shown_whole_in_pieces_of_which_one_suffices(chat_server: Any, tmp_path: Path) -> None:
    text = "".join(f"{n:06d} " for n in range(2000)) + "needle"
    prompts = [request.messages[0]["content"] for request in requests_to_confirm(conversation(text))]
    assert 2 <= len(prompts) <= 4
    assert all(any(f"{n:06d} " in prompt for prompt in prompts) for n in range(2000))
    chat_server.answer = lambda _, prompt: chat_server.completion("yes" if "needle" in prompt else "no")
    assert confirm(endpoint(chat_server, tmp_path), [conversation("short"), conversation(text)]) == [False, True]
