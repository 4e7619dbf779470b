"""``serin controller``: run it, and print its custom resources."""

import os
import signal
import socket
import threading
import uuid

import click


@click.group("controller")
def command() -> None:
    """Run FineTunes and ModelRollouts on Kubernetes."""


@command.command()
@click.option(
    "--namespace", help="Where its FineTunes and ModelRollouts are.  [default: the pod's, or the kubeconfig context's]"
)
@click.option("--context", help="Of the kubeconfig, where this is no pod.")
@click.option(
    "--listen", default="127.0.0.1", show_default=True, help="Address of metrics and probes; in a pod 0.0.0.0."
)
@click.option("--metrics-port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="/metrics")
@click.option("--health-port", type=click.IntRange(0, 65535), default=8081, show_default=True, help="/healthz, /readyz")
@click.option("--workers", type=click.IntRange(1, 64), default=4, show_default=True, help="FineTunes at a time.")
@click.option(
    "--relist-s", type=click.FloatRange(min=1), default=60, show_default=True, help="Seconds between complete looks."
)
@click.option("--lease", default="serin-controller", show_default=True, help="Whoever holds this Lease acts.")
@click.option(
    "--lease-s", type=click.FloatRange(min=1), default=15, show_default=True, help="Seconds until another one takes it."
)
def run(
    namespace: str | None,
    context: str | None,
    listen: str,
    metrics_port: int,
    health_port: int,
    workers: int,
    relist_s: float,
    lease: str,
    lease_s: float,
) -> None:
    """Do FineTunes' stages as Jobs, and move traffic as ModelRollouts say, until SIGTERM.

    Several may run: one acts, the others wait.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    # Storage that does not answer is asked again later, and not five times at once.
    os.environ.setdefault("AWS_MAX_ATTEMPTS", "2")

    # Imported now, since importing keeps other threads waiting, and one of them will have a lease to renew.
    import botocore.session  # noqa: F401

    from serin.clients.kubernetes import open_cluster
    from serin.controller.loop.controller import Controller, Settings
    from serin.controller.loop.lease import LeaseTimes
    from serin.controller.loop.logs import log_to
    from serin.controller.loop.metrics import Metrics
    from serin.controller.loop.web import Web, check_page, metrics_page
    from serin.rollout.cluster.loop import rollout_loop

    log_to()
    metrics = Metrics()
    times = LeaseTimes(lease_s, lease_s * 2 / 3, lease_s / 8, lease_s / 4)
    cluster = open_cluster(namespace, context, os.environ, timeout_s=min(10.0, times.give_up_s), heard=metrics.heard)
    settings = Settings(f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}", workers, relist_s, lease, times)
    controller = Controller(cluster, settings, metrics)
    rollouts = threading.Thread(
        target=rollout_loop(cluster, settings.identity, controller.lock.holds).run,
        args=(stopping,),
        name="rollouts",
        daemon=True,
    )

    def not_alive() -> list[str]:
        return [*controller.not_alive(), *([] if rollouts.is_alive() else ["thread rollouts has ended"])]

    rollouts.start()
    checks = {"/healthz": check_page(not_alive), "/readyz": check_page(controller.not_ready)}
    figures = {"/metrics": metrics_page(metrics.registry, controller.measure)}
    if metrics_port == health_port != 0:
        Web(listen, metrics_port, checks | figures)
    else:
        Web(listen, metrics_port, figures)
        Web(listen, health_port, checks)
    controller.run(stopping, os._exit)


@command.command()
def crds() -> None:
    """Print the CustomResourceDefinitions, for ``kubectl apply -f -``."""
    from serin.controller.crds import manifest_text, manifests

    click.echo("---\n".join(manifest_text(manifest) for manifest in manifests()), nl=False)
