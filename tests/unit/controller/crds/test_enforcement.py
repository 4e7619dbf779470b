"""Each rule of the models is enforced by whom the table names, and by nobody less: proven with an object that is refused and
its neighbour that is taken, by the API server's rules and by the models."""

import copy
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

import annotated_types
import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from serin.controller.crds.enforcement import CONSTRAINTS, TRANSITIONS, VALIDATORS, Rule

from .probes import Probe, probes
from .verdicts import SPECS, changed, models_refusal, schema, servers_refusal, whole

Key = tuple[str, str, str]
Change = tuple[str, Any]
RULE = "spec.run.params.evaluate.rules.0"
JUDGE = "spec.run.params.evaluate.judge"
TOLERATION = "spec.run.placement.tolerations.0"
TEXT = "a" * 32
ARTICLES = [{"metric": "right_article", "above": 0.5}]


def _key(rule: Rule) -> Key:
    return rule.model.__name__, rule.name, rule.message


def _steps(*weights: float) -> list[dict[str, float]]:
    return [{"weight": weight} for weight in weights]


CASES: dict[str, tuple[str, list[Change], list[Change]]] = {
    "a rule needs either above or below": ("FineTune", [(f"{RULE}.below", 1.0)], [(f"{RULE}.below", None)]),
    "judge.questions needs judge.endpoint.url": (
        "FineTune",
        [(f"{JUDGE}.endpoint", {})],
        [(f"{JUDGE}.endpoint", {}), (f"{JUDGE}.questions", 0)],
    ),
    "a rule on right_article needs": (
        "FineTune",
        [("spec.run.params.evaluate.article_pattern", None), ("spec.run.params.evaluate.rules", ARTICLES)],
        [("spec.run.params.evaluate.article_pattern", None)],
    ),
    "whether article_pattern is a regular expression": (
        "FineTune",
        [("spec.run.params.evaluate.article_pattern", "Article [0-9]+")],
        [("spec.run.params.evaluate.article_pattern", "Article ([0-9]+)")],
    ),
    "start_from goes on from an adapter": (
        "FineTune",
        [("spec.run.params.train.method", "full"), ("spec.run.params.train.start_from", "adapter")],
        [("spec.run.params.train.method", "lora"), ("spec.run.params.train.start_from", "adapter")],
    ),
    "the weights of steps must rise": (
        "ModelRollout",
        [("spec.run.params.steps", _steps(0.25, 0.05, 1.0))],
        [("spec.run.params.steps", _steps(0.05, 0.25, 1.0))],
    ),
    "operator Exists compares no value": (
        "FineTune",
        [(f"{TOLERATION}.operator", "Exists")],
        [(f"{TOLERATION}.operator", "Exists"), (f"{TOLERATION}.value", None)],
    ),
    "operator Equal needs a key": (
        "FineTune",
        [(f"{TOLERATION}.key", None)],
        [(f"{TOLERATION}.key", None), (f"{TOLERATION}.operator", "Exists"), (f"{TOLERATION}.value", None)],
    ),
    "stages must be train": (
        "FineTune",
        [("spec.run.stages", ["train", "evaluate"])],
        [("spec.run.stages", ["train", "merge"])],
    ),
    "inputs.adapter is missing": (
        "FineTune",
        [("spec.run.inputs.adapter", None)],
        [("spec.run.inputs.adapter", None), ("spec.run.stages", ["evaluate"])],
    ),
    "inputs.merged is missing": (
        "FineTune",
        [("spec.run.inputs.merged", None)],
        [("spec.run.inputs.merged", None), ("spec.run.stages", ["merge", "evaluate", "publish"])],
    ),
    "inputs.evaluation is missing": (
        "FineTune",
        [("spec.run.stages", ["publish"])],
        [("spec.run.stages", ["publish"]), ("spec.run.inputs.evaluation", TEXT)],
    ),
    "canary must be another revision": (
        "ModelRollout",
        [("spec.run.canary", "a@" + "b" * 64), ("spec.run.stable", "a@" + "b" * 64)],
        [("spec.run.canary", "a@" + "b" * 64), ("spec.run.stable", "a@" + "c" * 64)],
    ),
    "action needs a reason": (
        "ModelRollout",
        [("spec.action", "abort")],
        [("spec.action", "abort"), ("spec.reason", "wrong tone")],
    ),
    "the schema has the same bounds, and no text for modules": (
        "FineTune",
        [("spec.run.params.train.lora.target_modules", ".*_proj")],
        [("spec.run.params.train.lora.target_modules", ["q_proj"])],
    ),
    "the schema has the same bounds": (
        "ModelRollout",
        [("spec.run.params.steps", _steps(*((step + 1) / 65 for step in range(65))))],
        [("spec.run.params.steps", _steps(*((step + 1) / 64 for step in range(64))))],
    ),
}
"""By the beginning of a row's message: an object that is refused, and one that differs in little and is taken."""


def _case(rule: Rule) -> tuple[str, list[Change], list[Change]]:
    exact = [begin for begin in CASES if rule.message == begin]
    found = exact or [begin for begin in CASES if rule.message.startswith(begin)]
    assert len(found) == 1, f"no example proves: {rule.message}"
    return CASES[found[0]]


def _made(kind: str, changes: list[Change]) -> dict[str, Any]:
    body = whole(kind)
    for path, value in changes:
        body = changed(body, path, value)
    return body


@pytest.mark.parametrize(
    "rule", [rule for rule in VALIDATORS if rule.by != "nobody"], ids=lambda rule: rule.message[:40]
)
def test_a_rule_between_fields_is_enforced_by_whom_the_table_names(rule: Rule) -> None:
    kind, refused, taken = _case(rule)
    bad, good = _made(kind, refused), _made(kind, taken)
    assert models_refusal(bad) is not None
    assert models_refusal(good) is None
    answer = servers_refusal(bad)
    if rule.by == "controller":
        assert answer is None
    elif rule.by == "cel":
        assert answer is not None
        assert rule.message in answer
    else:
        assert answer is not None
        assert "some validation rules were not checked" in answer
    assert servers_refusal(good) is None


@pytest.mark.parametrize(
    ("weights", "server", "models"),
    [
        ((0.0, 1.0), "spec.run.params.steps[0].weight in body should be greater than 0", "greater than 0"),
        ((0.25, 0.05, 1.0), "steps must rise", "steps must rise"),
        ((0.5, 0.5, 1.0), "steps must rise", "steps must rise"),
        ((0.5, 0.9), "steps must rise", "steps must rise"),
    ],
)
def test_steps_that_do_not_rise_from_above_0_to_1_are_refused_by_both(
    weights: tuple[float, ...], server: str, models: str
) -> None:
    body = changed(whole("ModelRollout"), "spec.run.params.steps", _steps(*weights))
    assert server in (servers_refusal(body) or "")
    assert models in (models_refusal(body) or "")


def _models(model: type[BaseModel], seen: set[type[BaseModel]]) -> set[type[BaseModel]]:
    if model not in seen:
        seen.add(model)
        for field in model.model_fields.values():
            for part in _parts(field.annotation):
                if isinstance(part, type) and issubclass(part, BaseModel):
                    _models(part, seen)
    return seen


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for inner in get_args(annotation):
        if get_origin(annotation) is not Literal:
            yield from _parts(inner)


MODELS = sorted(
    {model for spec in SPECS.values() for model in _models(spec, set())},
    key=lambda model: (model.__module__, model.__name__),
)


def _functions(field: FieldInfo) -> Iterator[str]:
    metadata = [
        *field.metadata,
        *(each for part in _parts(field.annotation) for each in getattr(part, "__metadata__", ())),
    ]
    for each in metadata:
        if hasattr(each, "func"):
            yield each.func.__name__


def test_every_validator_of_the_models_has_its_row_and_no_row_is_stale() -> None:
    there = set()
    for model in MODELS:
        decorators = model.__pydantic_decorators__
        names = {*decorators.model_validators, *decorators.field_validators, *decorators.root_validators}
        names |= {name for field in model.model_fields.values() for name in _functions(field)}
        there |= {(model, name) for name in names if name in vars(model) or not hasattr(model, name)}
    assert there == {(rule.model, rule.name) for rule in VALIDATORS}


_KINDS: dict[type, str] = {
    annotated_types.Ge: "ge",
    annotated_types.Gt: "gt",
    annotated_types.Le: "le",
    annotated_types.Lt: "lt",
    annotated_types.MinLen: "min_length",
    annotated_types.MaxLen: "max_length",
}


def _constraints(field: FieldInfo) -> Iterator[str]:
    inner = [each for part in _parts(field.annotation) for each in getattr(part, "__metadata__", ())]
    for each in [*field.metadata, *inner]:
        if isinstance(each, FieldInfo):
            yield from (_kind(one) for one in each.metadata)
        elif not hasattr(each, "func"):
            yield _kind(each)
    parts = list(_parts(field.annotation))
    if any(get_origin(part) is Literal for part in parts):
        yield "enum"
    for part in parts:
        if get_origin(part) is dict:
            key = get_args(part)[0]
            if get_origin(key) is Literal:
                yield "known keys"
            elif get_origin(key) is Annotated:
                yield "keys"


def _kind(constraint: Any) -> str:
    if type(constraint) in _KINDS:
        return _KINDS[type(constraint)]
    (name,) = [name for name, value in vars(constraint).items() if value is not None]  # pydantic's own, such as pattern
    return name


def test_every_kind_of_constraint_of_the_models_has_its_row() -> None:
    kinds = {kind for model in MODELS for field in model.model_fields.values() for kind in _constraints(field)}
    kinds |= {"type", "required", "size"}
    assert {model.model_config.get("extra") for model in MODELS} == {"forbid"}
    assert kinds | {"extra"} == set(CONSTRAINTS)


def _applied(kind: str, probe: Probe, value: Any) -> dict[str, Any]:
    """The probe's value in its place; lists and maps on the way there get an entry."""
    body: Any = whole(kind)
    *parents, last = probe.path.split(".")
    at, node = body, schema(kind)
    for name in parents:
        node = (
            node["items"]
            if isinstance(at, list)
            else node.get("properties", {}).get(name) or node["additionalProperties"]
        )
        step: Any = int(name) if isinstance(at, list) else name
        if isinstance(at, list) and not at:
            at.append({})
        elif isinstance(at, dict) and name not in at:
            at[name] = {} if node["type"] == "object" else []
        at = at[step]
    if isinstance(at, list):
        at[:] = [value, *at[1:]]
    elif probe.constraint == "required" and value is None:
        at.pop(last, None)
    else:
        at[last] = value
    return dict(body)


PROBES = [(kind, probe) for kind in SPECS for probe in probes(schema(kind)["properties"]["spec"], "spec")]


@pytest.mark.parametrize("kind", SPECS)
def test_what_the_schema_refuses_the_models_refuse_too_at_every_field(kind: str) -> None:
    differing = []
    for probe in [probe for of, probe in PROBES if of == kind]:
        bad = _applied(kind, probe, probe.bad)
        if servers_refusal(bad) is None or models_refusal(bad) is None:
            differing.append((probe, servers_refusal(bad), models_refusal(bad)))
    assert differing == []


@pytest.mark.parametrize("kind", SPECS)
def test_the_neighbour_of_what_is_refused_is_taken_by_both_or_breaks_a_rule_between_fields(kind: str) -> None:
    differing, taken = [], 0
    chosen = [probe for of, probe in PROBES if of == kind and probe.has_good]
    for probe in chosen:
        good = _applied(kind, probe, copy.deepcopy(probe.good))
        server, models = servers_refusal(good), models_refusal(good)
        taken += server is None
        if server is None and "article_pattern needs a regular expression with a group" in (models or ""):
            continue  # the controller's alone, as its row says
        if (server is None) != (models is None) or (server is not None and "in body should" in server):
            differing.append((probe, server, models))
    assert differing == []
    assert taken > 0.8 * len(chosen)


@pytest.mark.parametrize(
    ("path", "value", "by"),
    [
        ("spec.run.placement.environment.A-B", "1", "keys"),
        ("spec.run.placement.nodeSelector.a b", "1", "keys"),
        ("spec.run.params.train.lora.rank", 8, "extra"),
        ("spec.run.placement.node_selector", {}, "extra"),
    ],
)
def test_names_of_fields_and_keys_are_enforced_by_whom_the_table_names(path: str, value: Any, by: str) -> None:
    body = changed(whole("FineTune"), path, value)
    answer = servers_refusal(body)
    assert (answer is None) == (CONSTRAINTS[by] == "controller")
    if by == "keys":
        assert models_refusal(body) is not None
    else:
        assert answer is not None
        assert "unknown field" in answer


def test_a_metric_that_is_not_known_is_an_unknown_field() -> None:
    body = changed(whole("ModelRollout"), "spec.run.params.metrics.tone", {"delta": 0.1})
    assert "unknown field spec.run.params.metrics.tone" in (servers_refusal(body) or "")
    assert models_refusal(body) is not None


@pytest.mark.parametrize("kind", SPECS)
def test_a_run_never_changes_and_its_siblings_do(kind: str) -> None:
    (message,) = [rule.message for rule in TRANSITIONS if rule.model is SPECS[kind]]
    old = whole(kind)
    field = "spec.run.params.train.seed" if kind == "FineTune" else "spec.run.params.min_units"
    assert message in (servers_refusal(changed(old, field, 12), old) or "")
    assert servers_refusal(changed(old, field, 12)) is None  # another object may well have it
    sibling = "spec.suspend" if kind == "FineTune" else "spec.paused"
    assert servers_refusal(changed(old, sibling, True), old) is None
