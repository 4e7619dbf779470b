"""A ServiceAccount's kubeconfig, with a token that the API server gives out for it (TokenRequest)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from .admin import Admin

_LIFETIME_S = 3600


def write_kubeconfig(admin: Admin, namespace: str, account: str, path: Path) -> Path:
    """Write it, for nobody else to read: the server and the certificates of the administrator's, and the account's own token."""
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": _LIFETIME_S},
    }
    answer = admin.create(f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token", request)
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "tests",
        "clusters": [{"name": "tests", "cluster": server(admin)}],
        "users": [{"name": account, "user": {"token": answer["status"]["token"]}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": account, "namespace": namespace}}],
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
    return path


def server(admin: Admin) -> Mapping[str, Any]:
    """How the administrator's kubeconfig reaches the API server, without its credentials."""
    configuration = admin.cluster.transport.configuration
    found: dict[str, Any] = {"server": configuration.host}
    if not configuration.verify_ssl:
        return found | {"insecure-skip-tls-verify": True}
    named = {
        "certificate-authority": configuration.ssl_ca_cert,
        "tls-server-name": configuration.tls_server_name,
        "proxy-url": configuration.proxy,
    }
    return found | {name: value for name, value in named.items() if value}
