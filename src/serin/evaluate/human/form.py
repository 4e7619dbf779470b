"""The sheet as one self-contained page that works offline, in any browser, by mouse, keyboard or screen reader."""

import hashlib
from base64 import b64encode
from dataclasses import asdict
from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from serin.evaluate.human.sheet import Sheet


def render_form(sheet: Sheet, criteria: str) -> str:
    """The page. It asks nothing of any server: its policy allows its own style and script alone, and no connection.

    Ratings are kept in the browser's local storage under the sheet's id, and saved by download as CSV.
    """
    style, script = (_part(name) for name in ("form.css", "form.js"))
    return _template().render(
        rater=sheet.rater,
        count=len(sheet.items),
        criteria=criteria,
        data={"id": sheet.id, "items": [asdict(item) for item in sheet.items]},
        style=Markup(style),
        style_hash=_hash(style),
        script=Markup(script),
        script_hash=_hash(script),
    )


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
    return environment.from_string(_part("form.html.jinja"))


@cache
def _part(name: str) -> str:
    return (files("serin.evaluate.human") / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """How a Content-Security-Policy names an inline style or script."""
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
