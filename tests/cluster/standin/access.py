"""Who may do what: tokens, each with the rules of a Role."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Access:
    """Tokens and their rules; None is a cluster's administrator."""

    rules: dict[str, Sequence[Mapping[str, Any]] | None] = field(default_factory=lambda: {"admin": None})

    def known(self, token: str | None) -> bool:
        """Whether the token is one."""
        return token in self.rules

    def allows(self, token: str, verb: str, group: str, resource: str) -> bool:
        """Whether a token's rules allow ``verb`` on ``resource``, a plural or ``pods/log``."""
        rules = self.rules[token]
        if rules is None:
            return True
        return any(
            verb in rule["verbs"] and group in rule["apiGroups"] and resource in rule["resources"] for rule in rules
        )
