"""All that the controller knows of the cluster: a cache for each kind, and from an object back to its FineTune."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from serin.clients.kubernetes import Kind, Object
from serin.clients.kubernetes.kinds import FINE_TUNES, JOB_SETS, JOBS, PODS, WORKLOADS
from serin.controller.jobs.names import FINETUNE_LABEL, MANAGER
from serin.controller.loop import trimming
from serin.controller.loop.cache import Cache
from serin.controller.loop.watcher import Watched
from serin.controller.observed import Manifest

_OURS = {"app.kubernetes.io/managed-by": MANAGER}
WATCHED = (
    Watched(FINE_TUNES, {}),
    Watched(JOBS, _OURS),
    Watched(PODS, _OURS),
    Watched(JOB_SETS, _OURS, optional=True),
    # Kueue gives its Workloads none of our labels; their owners tell which are ours.
    Watched(WORKLOADS, {}, optional=True),
)
_FINETUNE = "finetune/"
_UID = "uid/"
_OWNER = "owner/"


@dataclass(frozen=True)
class Caches:
    """One for each kind that is watched."""

    by_kind: dict[Kind, Cache] = field(
        default_factory=lambda: {
            FINE_TUNES: Cache(lambda _: ()),
            JOBS: Cache(_child_keys, trimming.job),
            JOB_SETS: Cache(_child_keys, trimming.job),
            PODS: Cache(_child_keys, trimming.pod),
            WORKLOADS: Cache(_owner_keys, trimming.workload),
        }
    )

    def finetune(self, name: str) -> Object | None:
        """The FineTune of this name."""
        return self.by_kind[FINE_TUNES].get(name)

    def children(self, kind: Kind, finetune: str) -> list[Object]:
        """Jobs, JobSets or pods with the label of a FineTune of this name."""
        return self.by_kind[kind].by(_FINETUNE + finetune)

    def workloads_of(self, uid: str) -> list[Object]:
        """Kueue's Workloads of the Job or JobSet with this uid."""
        return self.by_kind[WORKLOADS].by(_OWNER + uid)

    def finetunes_of(self, kind: Kind, changed: Iterable[str]) -> Iterator[str]:
        """Names of the FineTunes that a change concerns. ``changed`` are names and keys of a cache."""
        if kind is FINE_TUNES:
            yield from changed
            return
        for word in changed:
            if word.startswith(_FINETUNE):
                yield word.removeprefix(_FINETUNE)
            elif word.startswith(_OWNER):
                for owner in (JOBS, JOB_SETS):
                    for job in self.by_kind[owner].by(_UID + word.removeprefix(_OWNER)):
                        yield from (
                            key.removeprefix(_FINETUNE) for key in _child_keys(job) if key.startswith(_FINETUNE)
                        )


def owner_uids(found: Manifest, *kinds: str) -> Sequence[str]:
    """uids of the owners of these kinds."""
    references: Sequence[Any] = found["metadata"].get("ownerReferences") or []
    return [str(reference["uid"]) for reference in references if reference.get("kind") in kinds]


def _child_keys(found: Object) -> list[str]:
    metadata = found["metadata"]
    name = (metadata.get("labels") or {}).get(FINETUNE_LABEL)
    return [*([_FINETUNE + name] if name else []), _UID + str(metadata.get("uid", ""))]


def _owner_keys(found: Object) -> list[str]:
    return [_OWNER + uid for uid in owner_uids(found, "Job", "JobSet")]
