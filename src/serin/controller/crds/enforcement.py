"""Who enforces which rule of the models: the schema, CEL, or only the controller, once the object is there.

What stands in ``CONSTRAINTS`` is translated field by field (see ``structural``); ``VALIDATORS`` has each rule between fields.
A rule that is the controller's is checked by the same models before a GPU is taken: ``Accepted`` is then False, ``BadParams``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from serin.core.params import (
    EvaluateParams,
    JudgeParams,
    LoraParams,
    RolloutParams,
    RuleParams,
    StepParams,
    TrainParams,
)
from serin.core.params.cluster import Toleration
from serin.core.resources.finetune import GIVEN, FineTuneParams, FineTuneSpec, Run, maker, takers
from serin.core.resources.naming import JOBSET_NAME, JOBSET_NAME_LENGTH, NAME_LENGTH
from serin.core.resources.rollout import ModelRolloutSpec, RolloutRun
from serin.core.task import STAGES

MARK = "x-serin-model"
"""Where a JSON schema on its way to a structural one keeps the name of its model."""
Enforcer = Literal["schema", "cel", "controller", "server", "nobody"]
"""``server``: the API server itself, by strict field validation (kubectl's default); ``nobody``: nothing is refused."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule that more than one field, or more than one version of an object, is needed for."""

    model: type[BaseModel]
    name: str
    """The validator of the model; empty for a rule between two versions of an object, which no model sees."""
    by: Enforcer
    message: str
    """What the API server says; where it is not CEL that speaks, why it cannot."""
    cel: str = ""
    field: str = ""
    """By alias, the field whose node has the rule; empty: that of the model."""


CONSTRAINTS: Mapping[str, Enforcer] = {
    "type": "schema",  # stricter: pydantic reads "5" as a number, and integers beyond 64 bits
    "required": "schema",
    "enum": "schema",
    "ge": "schema",
    "gt": "schema",
    "le": "schema",
    "lt": "schema",
    "min_length": "schema",
    "max_length": "schema",
    "pattern": "schema",
    "size": "schema",  # bounds of core/resources/bounds.py, which FineTuneParams and RolloutRun check too
    "keys": "controller",  # structural schemas have no propertyNames, and CEL would estimate a key as long as a whole request
    "known keys": "server",  # of a map whose keys are fixed: they are fields
    "extra": "server",  # without strict validation unknown fields are dropped
}

_ROW = [list(STAGES[first:last]) for first in range(len(STAGES)) for last in range(first + 1, len(STAGES) + 1)]
_GIVEN_RULES = tuple(
    Rule(
        Run,
        "_is_given_what_it_does_not_make",
        "cel",
        f"inputs.{word} is missing, and one of stages needs it: give its hash, or add {maker(word)} to stages",
        f"has(self.inputs.{word}) || '{maker(word)}' in self.stages || !self.stages.exists(s, s in {takers(word)!r})",
    )
    for word in GIVEN
)

VALIDATORS: tuple[Rule, ...] = (
    Rule(
        RuleParams,
        "_has_one_limit",
        "cel",
        "a rule needs either above or below",
        "has(self.above) != has(self.below)",
    ),
    Rule(
        JudgeParams,
        "_has_an_endpoint_where_one_is_asked",
        "cel",
        "judge.questions needs judge.endpoint.url",
        "self.questions == 0 || has(self.endpoint.url)",
    ),
    Rule(
        EvaluateParams,
        "_judges_articles_only_where_they_are_found",
        "cel",
        "a rule on right_article needs an article_pattern: set one, or remove the rule",
        "dyn(self.article_pattern) != null || !self.rules.exists(r, r.metric == 'right_article')",
    ),
    Rule(
        EvaluateParams,
        "_judges_articles_only_where_they_are_found",
        "controller",
        "whether article_pattern is a regular expression with a group only Python's engine knows",
    ),
    Rule(
        TrainParams,
        "_has_what_the_method_takes",
        "cel",
        "start_from goes on from an adapter, and method full has none: make a merged model the base",
        "self.method != 'full' || !has(self.start_from)",
    ),
    Rule(LoraParams, "_reads_a_list_of_the_word_as_the_word", "nobody", "it only reads what the schema has as a list"),
    Rule(
        RolloutParams,
        "_steps_rise_to_one",
        "cel",
        "the weights of steps must rise, to exactly 1",
        "self.map(s, s.weight).isSorted() && self.all(a, self.exists_one(b, a.weight == b.weight)) "
        "&& self[self.size() - 1].weight == 1.0",
        "steps",
    ),
    Rule(StepParams, "_reads_a_number_as_its_weight", "nobody", "it only reads a number as what the schema has it in"),
    Rule(
        Toleration,
        "_compares_what_there_is",
        "cel",
        "operator Exists compares no value: leave value out, or make it Equal",
        "self.operator != 'Exists' || !has(self.value)",
    ),
    Rule(
        Toleration,
        "_compares_what_there_is",
        "cel",
        "operator Equal needs a key: name it, or make it Exists",
        "self.operator != 'Equal' || has(self.key)",
    ),
    Rule(FineTuneParams, "_as_fields", "nobody", "it only reads a section of params.yaml"),
    Rule(FineTuneParams, "_fits_into_an_object", "schema", "the schema has the same bounds, and no text for modules"),
    Rule(
        Run,
        "_has_stages_in_a_row",
        "cel",
        f"stages must be {', '.join(STAGES)}, or a part of it without a gap",
        f"self in {_ROW!r}",
        "stages",
    ),
    *_GIVEN_RULES,
    Rule(
        RolloutRun,
        "_moves_between_two",
        "cel",
        "canary must be another revision than stable",
        "self.stable != self.canary",
    ),
    Rule(RolloutRun, "_fits_into_an_object", "schema", "the schema has the same bounds"),
    Rule(
        ModelRolloutSpec,
        "_gives_a_reason_for_an_action",
        "cel",
        "action needs a reason: say why, the rollout's history keeps it",
        "!has(self.action) || has(self.reason)",
    ),
)

TRANSITIONS: tuple[Rule, ...] = (
    Rule(
        FineTuneSpec,
        "",
        "cel",
        "spec.run never changes: another run is another FineTune; only suspend can be changed",
        "self == oldSelf",
        "run",
    ),
    Rule(
        ModelRolloutSpec,
        "",
        "cel",
        "spec.run never changes: another rollout is another ModelRollout; paused, action and reason can be changed",
        "self == oldSelf",
        "run",
    ),
)

NAMES: Mapping[str, tuple[Mapping[str, str], ...]] = {
    "FineTune": (
        {
            "rule": f"self.metadata.name.size() <= {NAME_LENGTH}",
            "message": f"metadata.name must be at most {NAME_LENGTH} characters, since the names of Jobs and pods begin with it",
        },
        {
            "rule": "self.spec.run.placement.nodes == 1 || !('train' in self.spec.run.stages) || "
            f"(self.metadata.name.size() <= {JOBSET_NAME_LENGTH} && self.metadata.name.matches('^{JOBSET_NAME}$'))",
            "message": f"metadata.name must be a DNS label of at most {JOBSET_NAME_LENGTH} characters that begins with a "
            "letter where placement.nodes is above 1, since JobSet makes longer names of it",
        },
    ),
    "ModelRollout": (
        {
            "rule": "self.metadata.name.size() <= 63",
            "message": "metadata.name must be at most 63 characters, since labels hold it",
        },
    ),
}
"""At the root, the only place whose rules see ``metadata.name``; ``plan`` checks the same."""


def rules_of(model: str) -> list[Rule]:
    """The CEL rules of the model with this qualified name."""
    return [
        rule
        for rule in (*VALIDATORS, *TRANSITIONS)
        if rule.cel and f"{rule.model.__module__}.{rule.model.__qualname__}" == model
    ]
