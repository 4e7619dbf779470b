"""A person compares answers in the form, in a real browser and offline; the file that it saves is read back."""

from pathlib import Path

import pytest

from serin.core.params.evaluation import EvaluateParams
from serin.evaluate.human.export import Exported
from serin.evaluate.human.key import read_key
from serin.evaluate.human.ratings import read_ratings
from serin.evaluate.human.result import import_ratings

from ..unit.evaluate.human.evaluations import data_in, export, line
from .browser import CHROMIUM, Page, browser

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

HARD = [
    line(1, candidate='</script><script>alert("x")</script>', base="<b>bold</b> & 'quoted'"),
    line(2, candidate="试用期最长不得超过六个月。\n第十九条。", base="", slices={"language": "zh"}),
    line(3, question="كم تدوم فترة التجربة؟", candidate="ستة أشهر كحد أقصى.", slices={"language": "ar"}),
    *(line(n) for n in range(4, 13)),
]


@pytest.fixture
def exported(tmp_path: Path) -> Exported:
    return export(tmp_path, HARD, raters=1)


def form_of(exported: Exported) -> Path:
    return exported.sheets / "rater-1.html"


async def saved(page: Page, exported: Exported) -> Path:
    await page.click("#save")
    return await page.downloaded(f"ratings-{data_in(form_of(exported))['id']}.csv")


async def test_a_sheet_is_rated_by_keyboard_alone_and_read_back(exported: Exported, tmp_path: Path) -> None:
    items = data_in(form_of(exported))["items"]
    async with browser(tmp_path / "profile") as page:
        await page.open(form_of(exported).as_uri())
        for item in items:
            assert await page.text("#answer-1") == (item["answer_1"] or "(no answer)")
            await page.press("1" if "Article" in item["answer_1"] else "2" if "Article" in item["answer_2"] else "0")
        assert await page.text("#count") == "12 of 12 rated"
        assert await page.run("document.getElementById('open').disabled")
        path = await saved(page, exported)
        assert page.noise == []
    result = import_ratings([path], exported.key, EvaluateParams(resamples=200))
    assert (result.slices["all"].wins, result.slices["all"].ties, result.slices["all"].losses) == (9, 3, 0)


async def test_what_was_rated_is_there_when_the_browser_is_opened_again(exported: Exported, tmp_path: Path) -> None:
    async with browser(tmp_path / "profile") as page:
        await page.open(form_of(exported).as_uri())
        await page.press("1", "2", "0")
        await page.click("#comment")
        await page.type("=both wrong, 都不对")
        await page.press("1")  # in a comment it is a digit
        await page.stored("不对1")
    async with browser(tmp_path / "profile") as page:
        await page.open(form_of(exported).as_uri())
        assert await page.text("#count") == "3 of 12 rated"
        assert await page.text("#number") == "Question 4 of 12"
        assert await page.run("document.getElementById('comment').value") == "=both wrong, 都不对1"
        await page.click("#comment")
        await page.press("ArrowLeft")
        assert await page.text("#number") == "Question 4 of 12", "in a comment it moves the cursor"
        await page.run("document.activeElement.blur()")
        await page.press("ArrowLeft", "ArrowLeft")
        assert await page.run("document.querySelector('[data-better=\"2\"]').getAttribute('aria-pressed')") == "true"
        await page.press("1")  # changes the second one
        await page.click("#open")
        assert await page.text("#number") == "Question 4 of 12"
        await page.press("2")
        path = await saved(page, exported)
    assert "\"'=both wrong" in path.read_text(), "a comment must not open as a formula"
    ratings = read_ratings([path], read_key(exported.key), partial=True)
    by_question = {rating.question: rating for rating in ratings}
    ids = [item.id for item in read_key(exported.key).sheets[data_in(form_of(exported))["id"]].items]
    assert [by_question[id].named for id in ids[:4]] == [1, 1, 0, 2]
    assert [by_question[id].comment for id in ids[:4]] == ["", "", "", "=both wrong, 都不对1"]


async def test_a_mouse_does_it_too_at_the_width_of_a_phone(exported: Exported, tmp_path: Path) -> None:
    async with browser(tmp_path / "profile") as page:
        await page.resize(360, 640)
        await page.open(form_of(exported).as_uri())
        for _ in range(len(HARD)):
            assert await page.run("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
            await page.click('[data-better="2"]')
        assert await page.text("#count") == "12 of 12 rated"
        await page.run(
            "(() => { const go = document.getElementById('go'); go.value = 7; go.dispatchEvent(new Event('change')); })()"
        )
        assert await page.text("#number") == "Question 7 of 12"
        assert (await saved(page, exported)).read_bytes().startswith(b"\xef\xbb\xbf")


async def test_texts_are_shown_as_texts_in_their_own_direction(exported: Exported, tmp_path: Path) -> None:
    items = data_in(form_of(exported))["items"]
    arabic = next(n for n, item in enumerate(items) if item["language"] == "ar")
    async with browser(tmp_path / "profile") as page:
        await page.open(form_of(exported).as_uri())
        await page.press(*["ArrowRight"] * arabic)
        assert await page.run("getComputedStyle(document.getElementById('question')).direction") == "rtl"
        assert await page.run("document.getElementById('question').lang") == "ar"
        assert await page.run("document.querySelectorAll('.text script, .text b').length") == 0
        assert page.noise == []


async def test_everything_that_can_be_used_has_a_name(exported: Exported, tmp_path: Path) -> None:
    async with browser(tmp_path / "profile") as page:
        await page.open(form_of(exported).as_uri())
        tree = (await page._call("Accessibility.getFullAXTree"))["nodes"]
        usable = [
            n for n in tree if n.get("role", {}).get("value") in ("button", "textbox", "spinbutton", "progressbar")
        ]
        assert len(usable) >= 9
        assert [n for n in usable if not n.get("name", {}).get("value")] == []
