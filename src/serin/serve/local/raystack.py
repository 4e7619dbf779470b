"""The process that runs Ray: brings up HAProxy and the gateway, then makes what runs equal to what is declared.

Started by ``supervisor`` as ``python -m serin.serve.local.raystack <run folder>``; it ends with that parent.
"""

import os
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from serin.clients.serving_state import Declared, FolderState, RevisionStatus
from serin.core.errors import RetryableError, SerinError, ServingError
from serin.core.params import RevisionParams
from serin.core.revision import Revision
from serin.serve.local.applications import Application, applications
from serin.serve.local.last_words import why
from serin.serve.local.settings import RunSettings, base_url, load_settings
from serin.serve.middleware import SECRET_HEADER

_POLL_S = 0.3
_SETTLED_POLL_S = 1.0
"""Where every revision is as it shall be: Serve's controller spends some milliseconds on each look."""
_LOGICAL_CPUS = 16
"""What Ray is told: its actors mostly wait, and on two cores an honest count leaves some of them unscheduled forever."""
_GATEWAY = "gateway"
_GATEWAY_TIMEOUT_S = 90.0
_HAS_FAILED = "failed to start"
"""In what Serve says of a deployment whose constructor raised, also while it tries again."""
_RAY_IS_LATE = "timed out during startup"
"""In the message of ``ray/_private/node.py`` after its 30 s."""


def main(run_folder: Path) -> None:
    """Run until the parent ends. An error is written to ``supervisor.json`` before the process exits with its code."""
    settings = load_settings(run_folder)
    state = FolderState(Path(settings.state))
    parent = os.getppid()
    try:
        stack = RayStack(settings, state)
        stack.start()
        while os.getppid() == parent:
            settled = stack.reconcile(time.monotonic())
            time.sleep(_SETTLED_POLL_S if settled else _POLL_S)
    except SerinError as error:
        info = state.supervisor()
        if info is not None:
            state.write_supervisor(replace(info, error=str(error), exit_code=error.exit_code))
        print(f"serin: {error}", file=sys.stderr, flush=True)
        os._exit(error.exit_code)  # Ray's own exit handlers may wait; the supervisor ends every process in any case


class RayStack:
    """Ray, Serve, the gateway and the revisions of one start."""

    def __init__(self, settings: RunSettings, state: FolderState) -> None:
        self.settings = settings
        self.params = settings.params
        self.state = state
        self.status: dict[str, RevisionStatus] = {}
        self.begun: dict[str, float] = {}
        self.began_at: dict[str, float] = {}
        """As ``begun``, in Unix seconds: as files have it."""
        self.applied: dict[str, Declared] = {}
        self.on_gpu = False

    def start(self) -> None:
        """Ray, HAProxy and the gateway.

        Raises:
            RetryableError: Ray or Serve did not come up in the time that Ray gives them.
            ServingError: the gateway does not answer.
        """
        import ray
        from ray import serve
        from ray.exceptions import RayError

        threading.Thread(target=_import_builder, daemon=True).start()
        try:
            ray.init(
                num_cpus=max(_LOGICAL_CPUS, os.cpu_count() or 1),
                include_dashboard=False,
                log_to_driver=False,
                _temp_dir=f"{self.settings.run_folder}/ray",
                _node_ip_address="127.0.0.1",
                object_store_memory=100 << 20,
            )
        except Exception as error:  # Ray raises just this
            if _RAY_IS_LATE not in str(error):
                raise
            raise RetryableError(f"Ray did not start: {error}; close other programs, and try again") from error
        self.on_gpu = ray.cluster_resources().get("GPU", 0) > 0
        try:
            serve.start(http_options={"host": self.params.host, "port": self.params.port})
        except RayError as error:
            raise RetryableError(f"Ray Serve did not start: {_last_line(str(error))}; close other programs") from error
        from serin.serve.gateway import replica

        application = replica.application(self.settings.run_folder, self.params.request_timeout_s)
        serve.run(application, name=_GATEWAY, route_prefix="/")
        self._wait_for_gateway(lambda: time.monotonic())

    def reconcile(self, now: float) -> bool:
        """One step towards the declared topology; revisions start one at a time, stable first. Whether it is reached."""
        before = dict(self.status)
        topology = self.state.topology()
        for revision, entry in list(self.status.items()):
            if revision not in topology.revisions:
                self._remove(revision)
            elif self.applied.get(revision) != topology.revisions[revision] and entry.state == "ready":
                self._apply(revision, topology.revisions[revision])
        self.observe(now)
        declared = sorted(topology.revisions, key=lambda r: r != self.state.weights().stable)
        if not any(entry.state == "starting" for entry in self.status.values()):
            waiting = [revision for revision in declared if revision not in self.status]
            if waiting:
                self._begin(waiting[0], topology.revisions[waiting[0]], now)
        if self.status != before:
            self.state.write_status(self.status)
        settled = all(r in self.status and self.status[r].state != "starting" for r in declared)
        info = self.state.supervisor()
        if settled and info is not None and not info.ready:
            self.state.write_status(self.status)
            self.state.write_supervisor(replace(info, ready=True))
        return settled and all(entry.state in ("ready", "failed") for entry in self.status.values())

    def _begin(self, revision: str, declared: Declared, now: float) -> None:
        self.begun[revision] = now
        self.began_at[revision] = time.time()
        self.status[revision] = RevisionStatus("starting")
        self.state.write_status(self.status)
        try:
            self._apply(revision, declared)
        except (ValueError, OSError) as error:
            self.status[revision] = RevisionStatus("failed", f"vLLM refuses it: {error}")

    def _apply(self, revision: str, declared: Declared) -> None:
        """Make a revision run as it is declared; one that runs is scaled in place."""
        from ray import serve

        from serin.serve.revisions import application as revisions

        named = Revision.parse(revision)
        settings = RevisionParams.model_validate(dict(declared.settings))
        on_gpu = self.on_gpu and settings.gpus > 0
        self.applied[revision] = declared
        application = revisions.application(self.params, revision, Path(declared.path or ""), settings, on_gpu)
        target = serve.RunTarget(target=application, name=named.label, route_prefix=named.route)
        serve.run_many([target], wait_for_ingress_deployment_creation=False, wait_for_applications_running=False)

    def _remove(self, revision: str) -> None:
        """Let a revision answer what it has begun and end; it is told of until Serve knows nothing of it any more."""
        from ray import serve

        if self.status[revision].state != "draining":
            self.status[revision] = RevisionStatus("draining")
            serve.delete(Revision.parse(revision).label, _blocking=False)
        elif Revision.parse(revision).label not in applications():
            self.status.pop(revision)
            self.begun.pop(revision, None)
            self.applied.pop(revision, None)

    def observe(self, now: float) -> None:
        """Bring the status of what was begun up to date with what Serve says."""
        from ray import serve

        if not self.status:
            return
        found = applications()
        for revision, known in list(self.status.items()):
            seen = found.get(Revision.parse(revision).label)
            if known.state in ("failed", "draining") or seen is None:
                continue
            self.status[revision] = self._judge(revision, known, seen, now)
            if self.status[revision].state == "failed":
                serve.delete(Revision.parse(revision).label, _blocking=False)

    def _judge(self, revision: str, known: RevisionStatus, seen: Application, now: float) -> RevisionStatus:
        if known.state == "ready" and seen.answers:
            return known
        if seen.status == "RUNNING":
            if known.state == "ready" or self._answers(revision):
                return RevisionStatus("ready")
            return known
        if known.state == "ready":
            self.begun[revision] = now
            return RevisionStatus("starting", "restarting after a crash")
        if seen.status == "DEPLOY_FAILED":
            return RevisionStatus("failed", self._why(revision, seen.said))
        if now - self.begun[revision] > self.params.start_timeout_s:
            limit = self.params.start_timeout_s
            last = self._why(revision, seen.said)
            return RevisionStatus(
                "failed", f"not ready after {limit:.0f} s (serve.start_timeout_s)" + (f"; last: {last}" if last else "")
            )
        if _HAS_FAILED in seen.said:
            return RevisionStatus("starting", f"a try failed: {self._why(revision, seen.said)}")
        return known

    def _why(self, revision: str, message: str) -> str:
        logs = Path(self.settings.run_folder) / "ray/session_latest/logs"
        return why(message, logs, self.began_at[revision])

    def _answers(self, revision: str) -> bool:
        url = f"{base_url(self.params)}{Revision.parse(revision).route}/health"
        return _status_of(url, {SECRET_HEADER: self.settings.secret}) == 200

    def _wait_for_gateway(self, clock: Callable[[], float]) -> None:
        deadline = clock() + _GATEWAY_TIMEOUT_S
        while _status_of(f"{base_url(self.params)}/healthz", {}) != 200:
            if clock() > deadline:
                raise ServingError(
                    f"the gateway did not answer in {_GATEWAY_TIMEOUT_S:.0f} s: see {self.state.logs_folder}"
                )
            time.sleep(_POLL_S)


def _import_builder() -> None:
    """Half a minute of imports on a cold disk, done while Ray starts; the first revision needs them."""
    import ray.serve.llm  # noqa: F401


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason was given"


def _status_of(url: str, headers: dict[str, str]) -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=5.0) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


if __name__ == "__main__":
    main(Path(sys.argv[1]))
