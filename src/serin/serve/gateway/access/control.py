"""Access control of one gateway replica: its keys, limits and what has to be looked after every second."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from serin.core.params import AccessParams
from serin.serve.asgi import App
from serin.serve.gateway.access.guard import Guard
from serin.serve.gateway.access.key_file import KeyFile, WatchedKeys
from serin.serve.gateway.access.keys import KeyRing
from serin.serve.gateway.access.ledger import Ledger, LedgerClient, LedgerHere
from serin.serve.gateway.access.limiter import Limiter
from serin.serve.gateway.access.tokens import TokenAllowance
from serin.serve.gateway.refusals import Refused

_EVERY_S = 1.0
_log = logging.getLogger(__name__)


class AccessControl:
    """``ledger`` is shared by all replicas; None where there is but this one. ``refused`` is told whenever the guard lets
    somebody not in."""

    def __init__(
        self,
        params: AccessParams,
        max_model_len: int,
        ledger: LedgerClient | None,
        replica: str,
        refused: Refused,
        wall_clock: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self.refused = refused
        self.open = params.open
        self.wall_clock = wall_clock
        self.clock = clock
        self.watched = None if params.keys is None else WatchedKeys(KeyFile(Path(params.keys)))
        self.limiter = Limiter(replica, ledger or LedgerHere(Ledger(clock)), clock)
        self.tokens = TokenAllowance(self.limiter, max_model_len)
        self._upkeep: asyncio.Task[None] | None = None

    @property
    def ring(self) -> KeyRing | None:
        """The keys in force; None where no key is asked for."""
        return None if self.watched is None else self.watched.ring

    def guard(self, app: App) -> Guard:
        """The layer around ``app``."""
        return Guard(app, lambda: self.ring, self.open, self.limiter, self.refused, self.wall_clock, self.clock)

    def start(self) -> None:
        """Follow the file of keys and settle with the ledger; call it inside the event loop that serves."""
        if self.watched is None:
            _log.warning(
                "no key is asked for: whoever reaches this gateway may ask (serve.access.keys names a file of them)"
            )
            return
        self._upkeep = asyncio.create_task(self._look_after(self.watched))

    async def stop(self) -> None:
        """Look after nothing any more."""
        if self._upkeep is not None:
            self._upkeep.cancel()
            with suppress(asyncio.CancelledError):
                await self._upkeep

    def keys_in_force(self) -> list[dict[str, object]]:
        """What an operator may see of the keys: all but the hashes."""
        now = datetime.fromtimestamp(self.wall_clock(), UTC)
        ring = self.ring or KeyRing()
        return [
            {
                "id": key.id,
                "name": key.name,
                "scopes": sorted(key.scopes),
                "limits": key.limits.model_dump(exclude_none=True),
                "expires": None if key.expires is None else key.expires.isoformat(),
                "in_flight": self.limiter.in_flight[key.id],
            }
            for key in ring.by_hash.values()
            if key.expires is None or now < key.expires
        ]

    async def _look_after(self, watched: WatchedKeys) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            # In the loop: a stat, and seldom a small file. A thread that hangs with its disk would keep the ring old, unseen.
            watched.poll()
            await self.limiter.return_surplus()
