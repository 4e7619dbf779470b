"""From a kubeconfig, or from the pod that this runs in, to a cluster."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from serin.clients.kubernetes.cluster import Cluster
from serin.clients.kubernetes.transport import Heard, Transport, unheard
from serin.core.errors import ConfigError

if TYPE_CHECKING:
    from kubernetes.client import Configuration

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_CONNECTIONS = 32


def open_cluster(
    namespace: str | None,
    context: str | None,
    environment: Mapping[str, str],
    *,
    timeout_s: float = 10.0,
    heard: Heard = unheard,
    service_account: Path = _SERVICE_ACCOUNT,
) -> Cluster:
    """The cluster of ``KUBECONFIG``, else of ``~/.kube/config``, else the one that this process is a pod of.

    Args:
        namespace: where the objects are; None: the context's, or the pod's own.
        context: of the kubeconfig; None: its current one.
        environment: variables, of which ``KUBECONFIG``, ``HOME`` and ``KUBERNETES_SERVICE_HOST`` say where to look.
        timeout_s: the longest that one request may take; a watch has its own.
        heard: is told of every answer, for metrics.
        service_account: where Kubernetes mounts a pod's token, certificate and namespace.

    Raises:
        ConfigError: there is neither, or it is damaged.
    """
    from kubernetes.client import Configuration

    configuration = Configuration()
    # One try a request: who called knows whether to repeat it, and the client's own retries would multiply the time-out.
    configuration.retries = False
    configuration.connection_pool_maxsize = _CONNECTIONS
    configuration.keep_alive = True
    files = _kubeconfig(environment)
    if files or context is not None:
        found = _from_kubeconfig(configuration, files, context)
    else:
        found = _from_pod(configuration, environment, service_account)
    return Cluster(Transport(configuration, timeout_s, heard), namespace or found)


def _kubeconfig(environment: Mapping[str, str]) -> str:
    if named := environment.get("KUBECONFIG", ""):
        return named
    path = Path(environment.get("HOME", "/")) / ".kube" / "config"
    return str(path) if path.is_file() else ""


def _from_kubeconfig(configuration: "Configuration", files: str, context: str | None) -> str:
    from kubernetes.config import ConfigException, list_kube_config_contexts, load_kube_config
    from yaml import YAMLError

    where = files or "~/.kube/config"
    try:
        load_kube_config(files or None, context, configuration, persist_config=False)
        contexts, current = list_kube_config_contexts(files or None)
    except (ConfigException, YAMLError, OSError) as error:
        chosen = f", context {context}" if context else ""
        raise ConfigError(
            f"the kubeconfig {where}{chosen} cannot be used ({error}): set KUBECONFIG, or kubernetes.context in params.yaml"
        ) from error
    chosen = next((each for each in contexts if each["name"] == context), current)
    return str((chosen.get("context") or {}).get("namespace") or "default")


def _from_pod(configuration: "Configuration", environment: Mapping[str, str], service_account: Path) -> str:
    from kubernetes.config import ConfigException
    from kubernetes.config.incluster_config import InClusterConfigLoader

    try:
        InClusterConfigLoader(
            str(service_account / "token"), str(service_account / "ca.crt"), environ=environment
        ).load_and_set(configuration)
    except ConfigException as error:
        raise ConfigError(
            f"no cluster was found ({error}): neither KUBECONFIG nor ~/.kube/config is there, and this is no pod with a "
            "ServiceAccount's token; set KUBECONFIG"
        ) from error
    return (service_account / "namespace").read_text().strip()
