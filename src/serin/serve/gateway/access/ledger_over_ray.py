"""The ledger as a Ray Serve deployment of one replica, beside the gateway's replicas in their application."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from serin.serve.gateway.access.ledger import Ask, Ledger, LedgerAwayError, Settlement

_TIMEOUT_S = 0.5
"""A request may wait for it, so rather this replica's own share than a longer wait."""


class LedgerReplica:
    """What Ray Serve builds in the ledger's process. A new one begins with full buckets."""

    def __init__(self) -> None:
        self.ledger = Ledger(time.monotonic)

    async def settle(self, replica: str, asks: Sequence[Ask]) -> Settlement:
        """Answer every ask."""
        return self.ledger.settle(replica, asks)


class LedgerOverRay:
    """``handle`` is a DeploymentHandle of ``LedgerReplica``."""

    def __init__(self, handle: Any) -> None:
        self.handle = handle

    async def settle(self, replica: str, asks: Sequence[Ask]) -> Settlement:
        """Answer every ask. Raises LedgerAwayError, also where the answer is late."""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                settled: Settlement = await self.handle.settle.remote(replica, list(asks))
        except Exception as error:  # Ray raises of everything, and the replica goes on with its own share in any case
            raise LedgerAwayError(f"the ledger did not settle: {error!r}") from error
        return settled


def ledger_application() -> Any:
    """The deployment, bound."""
    from ray import serve

    options = {"num_cpus": 0.1}
    deployment = serve.deployment(LedgerReplica, name="ledger", num_replicas=1, ray_actor_options=options)
    return deployment.bind()
