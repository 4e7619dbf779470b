"""The stand-in as a cluster for ``pytest -m cluster``, where there is no other: ``python -m tests.cluster.standin KUBECONFIG``.

It has neither Serin's CRDs nor nodes, and serves until it is interrupted.
"""

import shutil
import signal
import sys
from pathlib import Path

from .standin import StandIn


def main(kubeconfig: Path) -> None:
    """Write an administrator's kubeconfig, and serve."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with StandIn(namespace="default", crds=[], nodes=False) as standin:
        assert standin.kubeconfig is not None
        shutil.copy(standin.kubeconfig, kubeconfig)
        print(f"serving {standin.url}; its kubeconfig is {kubeconfig}", flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("one argument: where the kubeconfig is written")
    main(Path(sys.argv[1]))
