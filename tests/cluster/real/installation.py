"""What all scenarios share on a real cluster: Serin's CRDs, a Node of their own, and what the cluster was found to have."""

import secrets
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from serin.clients.kubernetes import ExistsError, open_cluster

from ..backend import Need
from .admin import Admin, Object, wait
from .node import FakeNode
from .probe import probe

MANIFESTS = Path(__file__).parents[3] / "k8s" / "base"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_SETTLED_S = 60.0
_TIMEOUT_S = 30.0


class Installation:
    """From its beginning to its end on the cluster of a kubeconfig.

    CRDs that are there already are left there, and must be those of this version. Those that are made here are removed in the
    end, and with them every object of theirs.
    """

    def __init__(self, kubeconfig: Path) -> None:
        self.id = f"serin-test-{secrets.token_hex(3)}"
        self.admin = Admin(open_cluster(None, None, {"KUBECONFIG": str(kubeconfig)}, timeout_s=_TIMEOUT_S))
        self.node = FakeNode(self.admin, self.id)
        self.has: frozenset[Need] = frozenset()
        self._undo = ExitStack()
        self._places = 0

    def name(self) -> str:
        """Of the next namespace."""
        self._places += 1
        return f"{self.id}-{self._places}"

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            for definition in documents("crds/finetunes.yaml", "crds/modelrollouts.yaml"):
                if self._define(definition):
                    undo.callback(self._withdraw, f"{_DEFINITIONS}/{definition['metadata']['name']}")
            undo.enter_context(self.node)
            self.has = probe(self.admin, self.id)
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def _define(self, wanted: Object) -> bool:
        """Create a CRD; whether it was not there yet."""
        path = f"{_DEFINITIONS}/{wanted['metadata']['name']}"
        is_new = True
        try:
            self.admin.create(_DEFINITIONS, wanted)
        except ExistsError:
            is_new = False
            found = self.admin.get(path) or {}
            assert _holds(found, {"spec": wanted["spec"]}), (
                f"{wanted['metadata']['name']} is on this cluster already, and is not that of k8s/base/crds: run "
                "'kubectl apply --server-side -f k8s/base/crds', or take another cluster"
            )
        assert wait(lambda: _is_established(self.admin.get(path)), _SETTLED_S), f"{path} is not served"
        return is_new

    def _withdraw(self, path: str) -> None:
        """Delete a CRD, and wait until the next one may come."""
        self.admin.delete(path)
        assert wait(lambda: self.admin.get(path) is None, _SETTLED_S), f"{path} is still there: look at its conditions"


def documents(*files: str) -> Sequence[Object]:
    """The objects of manifests under ``k8s/base``."""
    return [each for file in files for each in yaml.safe_load_all((MANIFESTS / file).read_text())]


def _holds(found: Any, wanted: Any) -> bool:
    """Whether everything that is wanted is there; the server adds its defaults."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(_holds(found.get(name), value) for name, value in wanted.items())
    if isinstance(wanted, list):
        return len(found or ()) == len(wanted) and all(map(_holds, found or (), wanted))
    return bool(found == wanted) or (found is None and not wanted)


def _is_established(found: Object | None) -> bool:
    conditions = (found or {}).get("status", {}).get("conditions") or ()
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)
