"""Who may do what: tokens, each with the rules of a Role, or those that RoleBindings give a ServiceAccount."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .registry import Registry
from .resources import ROLE_BINDINGS, ROLES, SERVICE_ACCOUNTS

Rules = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Account:
    """Whom a token speaks for: one ServiceAccount, and none that gets its name later."""

    namespace: str
    name: str
    uid: str


class Access:
    """``rules`` are those of tokens that a test gives out; None is a cluster's administrator."""

    def __init__(self, registry: Registry) -> None:
        self.rules: dict[str, Rules | None] = {"admin": None}
        self._registry = registry
        self._accounts: dict[str, Account] = {}

    def issue(self, namespace: str, name: str) -> str:
        """A token for a ServiceAccount. Raises Refusal where there is none."""
        account = self._registry.require(SERVICE_ACCOUNTS, namespace, name).object
        token = secrets.token_hex(16)
        self._accounts[token] = Account(namespace, name, account["metadata"]["uid"])
        return token

    def known(self, token: str) -> bool:
        """Whether the token is one."""
        account = self._accounts.get(token)
        if account is None:
            return token in self.rules
        found = self._registry.find(SERVICE_ACCOUNTS, account.namespace, account.name)
        return found is not None and found["metadata"]["uid"] == account.uid

    def user(self, token: str, namespace: str) -> str:
        """As refusals name who asks."""
        account = self._accounts.get(token)
        if account is None:
            return f"system:serviceaccount:{namespace or 'default'}:{token}"
        return f"system:serviceaccount:{account.namespace}:{account.name}"

    def allows(self, token: str, verb: str, group: str, resource: str, namespace: str) -> bool:
        """Whether a token's rules allow ``verb`` on ``resource``, a plural or ``pods/log``, in a namespace."""
        account = self._accounts.get(token)
        rules = self.rules[token] if account is None else list(self._granted(account, namespace))
        return rules is None or any(
            verb in rule["verbs"] and group in rule["apiGroups"] and resource in rule["resources"] for rule in rules
        )

    def _granted(self, account: Account, namespace: str) -> Iterator[Mapping[str, Any]]:
        """The rules of every Role of the namespace that is bound to the ServiceAccount."""
        me = {"kind": "ServiceAccount", "name": account.name, "namespace": account.namespace}
        for stored in self._registry.store.all(ROLE_BINDINGS, namespace):
            if any(me.items() <= subject.items() for subject in stored.object.get("subjects") or ()):
                role = self._registry.find(ROLES, namespace, stored.object["roleRef"]["name"])
                yield from (role or {}).get("rules") or ()
