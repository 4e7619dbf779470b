"""``README.md`` of a revision: a model card with front matter as the Hugging Face Hub reads it.

It lies beside the published record and not in the model's folder, whose digest it would change.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined, Template

from serin.core.markdown import plain
from serin.core.params import PublishParams
from serin.core.revision import Revision
from serin.publish import evidence
from serin.publish.figures import flatten, gains_over, places

# The hub's ids of licences (huggingface.co/docs/hub/repositories-licenses); any other is `other`.
_HUB_LICENSES = """
afl-3.0 agpl-3.0 apache-2.0 apple-amlr apple-ascl artistic-2.0 bigcode-openrail-m bigscience-bloom-rail-1.0
bigscience-openrail-m bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc-by-2.0 cc-by-2.5 cc-by-3.0
cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0
cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0 cdla-permissive-2.0
cdla-sharing-1.0 creativeml-openrail-m deepfloyd-if-license ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2
fair-noncommercial-research-license gemma gfdl gpl gpl-2.0 gpl-3.0 h-research intel-research isc lgpl lgpl-2.1
lgpl-3.0 lgpl-lr llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1
open-mdw openrail openrail++ osl-3.0 pddl postgresql unlicense wtfpl zlib
"""
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_FENCE = re.compile(r"```")


def render_card(revision: Revision, records: Mapping[str, bytes], params: PublishParams, override: str | None) -> str:
    """The card, from the evidence of what the model was made from. The same arguments give the same card.

    Args:
        revision: what it is about.
        records: as ``evidence.gather`` gives them.
        params: of the stage ``publish``.
        override: why it is published without a passing verdict, if it is.
    """
    told = {name: json.loads(data) for name, data in records.items() if name.endswith(".json")}
    metrics = told.get(evidence.METRICS) or {}
    quality = told.get(evidence.QUALITY) or {}
    dataset = told.get(evidence.DATASET)
    verdict = told.get(evidence.VERDICT)
    sources = [file for file in quality.get("files", []) if file.get("kept")]
    text = _template().render(
        front_matter=_front_matter(revision, told, params),
        revision=revision,
        params=params,
        override=override,
        base=told.get(evidence.BASE),
        trained=told.get(evidence.TRAINED),
        merging=list(flatten(told[evidence.MODEL]["metrics"])),
        dataset=dataset,
        counts=(dataset or {}).get("metrics", {}).get("records", {}),
        sources=sources,
        licences=Counter(file.get("license") or "no stated licence" for file in sources),
        verdict=verdict,
        metrics=metrics,
        gains=[(over, list(gains_over(metrics, over))) for over in metrics.get("gains", {})],
        unknown=[_row(place, value) for place, value in places(metrics.get("unknown", {}))],
        logs=[name for name in ("perplexity",) if any(name in by for by in _by_set(metrics))],
        safety=any(rule.get("metric") == "unsafe" for rule in (verdict or {}).get("rules", [])),
        digests=_digests(revision, told),
        config=yaml.safe_dump(configuration(told, params), sort_keys=False, allow_unicode=True, width=120),
        data_card=_embedded(records[evidence.DATA_CARD].decode()) if evidence.DATA_CARD in records else "",
    )
    return re.sub(r"\n{3,}", "\n\n", text).lstrip("\n")


def configuration(told: Mapping[str, Any], params: PublishParams) -> dict[str, Any]:
    """The resolved params of every stage that the model went through."""
    # A quantised model comes from a merged one, and has the params of its own making.
    made_by = "quantise" if "merged" in told[evidence.MODEL]["inputs"] else "merge"
    stages = {
        "prepare": evidence.DATASET,
        "train": evidence.TRAINED,
        made_by: evidence.MODEL,
        "evaluate": evidence.EVALUATION,
    }
    config: dict[str, Any] = {}
    if base := told.get(evidence.BASE):
        config["base"] = {name: base.get(name) for name in ("model", "revision")}
    config |= {stage: told[name]["params"] for stage, name in stages.items() if name in told}
    return {**config, "publish": params.model_dump()}


def _front_matter(revision: Revision, told: Mapping[str, Any], params: PublishParams) -> str:
    """YAML as the hub's model cards have it: only what is known."""
    front: dict[str, Any] = {}
    if params.license:
        known = params.license.strip().lower().replace(" ", "-")
        is_known = known in _HUB_LICENSES.split()
        front |= {"license": known} if is_known else {"license": "other", "license_name": params.license}
    base = told.get(evidence.BASE) or {}
    if base.get("revision") and _HUB_ID.fullmatch(base.get("model", "")):
        front["base_model"] = base["model"]
    languages = (told.get(evidence.QUALITY) or {}).get("languages", {})
    if codes := sorted(code for code in languages if code != "und"):
        front["language"] = codes
    front["library_name"] = "transformers"
    front["pipeline_tag"] = "text-generation"
    front["tags"] = ["conversational", "serin", *(["fine-tuned"] if evidence.TRAINED in told else [])]
    if results := _results(told):
        front["metrics"] = sorted({metric["type"] for result in results for metric in result["metrics"]})
        front["model-index"] = [{"name": revision.name, "results": results}]
    return yaml.safe_dump(front, sort_keys=False, allow_unicode=True)


def _results(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The means over each set of questions, as the hub's model index has them."""
    means = (told.get(evidence.METRICS) or {}).get("means", {}).get("candidate", {})
    dataset = ((told.get(evidence.EVALUATION) or {}).get("inputs") or {}).get("dataset", "")
    results = []
    for on, by_metric in means.items():
        shown = [
            {"type": metric, "name": metric, "value": round(by_slice["all"], 6)}
            for metric, by_slice in by_metric.items()
            if by_slice.get("all") is not None
        ]
        if shown:
            source: dict[str, Any] = {"name": f"held-out questions: {on}", "type": "serin", "split": on}
            if dataset:
                source["revision"] = dataset
            results.append({"task": {"type": "text-generation"}, "dataset": source, "metrics": shown})
    return results


def _digests(revision: Revision, told: Mapping[str, Any]) -> dict[str, str]:
    model = told[evidence.MODEL]
    digests = {"model": revision.digest, **model["inputs"]}
    if dataset := told.get(evidence.DATASET):
        digests |= {f"{name} of the dataset": d for name, d in dataset["inputs"].items() if name != "base"}
    for name, word in (
        (evidence.TRAINED, "training"),
        (evidence.MODEL, "merging"),
        (evidence.EVALUATION, "evaluating"),
    ):
        if told.get(name, {}).get("code"):
            digests[f"code of {word}"] = told[name]["code"]
    return digests


def _row(place: tuple[str, str, str], value: Any) -> dict[str, Any]:
    return {"set": place[0], "metric": place[1], "slice": place[2], "value": value}


def _by_set(metrics: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for by_set in metrics.get("gains", {}).values():
        yield from by_set.values()


def _embedded(card: str) -> str:
    """A card without its front matter, its headings two levels deeper; headings within code stay."""
    lines, in_code = [], False
    for line in _FRONT_MATTER.sub("", card).strip().splitlines():
        in_code ^= bool(_FENCE.match(line))
        lines.append(f"##{line}" if line.startswith("#") and not in_code else line)
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return plain(f"{value:g}" if isinstance(value, float) else str(value))


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    environment.filters["cell"] = _cell
    return environment.from_string((files("serin.publish") / "card.md.jinja").read_text(encoding="utf-8"))
