"""``README.md`` of a dataset: a card with front matter as the Hugging Face Hub reads it, which also a person can read."""

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import yaml

from serin.core.markdown import plain
from serin.core.params import PrepareParams
from serin.prepare.report.templates import completed, load_template
from serin.prepare.report.wording import SPLITS, in_order

_MOST_FILES = 100
# The hub's ids of licences that data comes under (huggingface.co/docs/hub/repositories-licenses); any other is `other`.
_HUB_LICENSES = """
afl-3.0 apache-2.0 bsd-2-clause bsd-3-clause c-uda cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0
cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0
cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0 etalab-2.0 eupl-1.1 gfdl isc mit mpl-2.0
odbl odc-by pddl unlicense
"""
_SIZES = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")


def render_card(quality: Mapping[str, Any], params: PrepareParams, base: Mapping[str, Any] | None) -> str:
    """The card, from the content of ``quality.json`` and the params it was made with.

    ``base`` says which model's tokenizer measured the lengths (``digest``, and ``model`` and ``revision`` where known); None
    where none did. A model given as
    an absolute path is named by its last part, so that the card says nothing of the machine. The same arguments give the
    same card.
    """
    told = completed(quality)
    contributing = [file for file in told["files"] if file["kept"] and not file["augmented"]]
    licenses = sorted({file["license"] for file in contributing if file["license"]})
    unlicensed = [file["source"] for file in contributing if not file["license"]]
    asked = bool(params.augment.paraphrases or params.augment.documents)
    text = load_template("card.md.jinja", autoescape=False, cell=_cell).render(
        quality=told,
        params=params,
        base=_named(base),
        front_matter=_front_matter(told, licenses if not unlicensed else []),
        most_files=_MOST_FILES,
        licenses=licenses,
        unlicensed=unlicensed,
        train=told["splits"].get("train"),
        control=told["splits"].get("control", {}).get("records", 0),
        left_in=[(t.upper(), a) for t, a in params.personal_data.model_dump().items() if a in ("report", "ignore")],
        asked=asked,
        generated=asked and told["augmentation"] is not None,
    )
    return re.sub(r"\n{3,}", "\n\n", text)


def _front_matter(quality: Mapping[str, Any], licenses: list[str]) -> str:
    """YAML as the hub's dataset cards have it: only what is known, and a licence only where all sources agree on it."""
    told: dict[str, Any] = {}
    if languages := sorted(code for code in quality["languages"] if code != "und"):
        told["language"] = languages
    if len(licenses) == 1:
        told |= _license(licenses[0])
    told["size_categories"] = [_size(quality["kept"])]
    told["task_categories"] = ["text-generation"]
    synthetic = quality["augmentation"] is not None and any(quality["augmentation"]["kept"].values())
    told["tags"] = ["conversational", "fine-tuning", "serin", *(["synthetic"] if synthetic else [])]
    splits = [name for name, split in in_order(SPLITS, quality["splits"]) if split["records"]]
    if splits:
        # Without these the hub would take rejected.jsonl and quality.json for data as well.
        data_files = [{"split": name, "path": f"{name}.jsonl"} for name in splits]
        told["configs"] = [{"config_name": "default", "data_files": data_files}]
    return yaml.safe_dump(told, sort_keys=False, allow_unicode=True)


def _license(name: str) -> dict[str, str]:
    known = name.strip().lower().replace(" ", "-")
    return {"license": known} if known in _HUB_LICENSES.split() else {"license": "other", "license_name": name}


def _size(records: int) -> str:
    """The hub's name for the order of magnitude, such as ``1K<n<10K``."""
    power = sum(records >= 1000 * 10**n for n in range(len(_SIZES)))
    if power == 0:
        return "n<1K"
    return f"{_SIZES[power - 1]}<n<{_SIZES[power]}" if power < len(_SIZES) else "n>1T"


def _named(base: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if base is None:
        return None
    model = str(base.get("model", "the base model"))
    shown = PurePath(model).name if PurePath(model).is_absolute() else model
    return {"model": shown, "revision": base.get("revision"), "digest": base.get("digest")}


def _cell(value: Any) -> str:
    return plain(str(value))
