"""What a gateway replica knows of the serving state, and its acknowledgement of it."""

import asyncio
import logging
import threading
from contextlib import suppress

from serin.clients.serving_state import Seen, ServingState, Weights
from serin.core.errors import SerinError

_RETRY_S = 1.0
_log = logging.getLogger(__name__)


class StateWatcher:
    """Follows the state in a thread, and acknowledges what the event loop goes by: reads and writes hold no request up."""

    def __init__(self, state: ServingState, replica: str) -> None:
        self.state = state
        self.replica = replica
        self.weights = Weights()
        self.running: frozenset[str] = frozenset()
        """Revisions that may be asked: they answer, and are not about to be removed."""
        self.starting: frozenset[str] = frozenset()
        """Those that will answer."""
        self._changed = asyncio.Event()
        self._stopped = threading.Event()
        self._acknowledging: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Look once, then follow. A state that does not answer now is followed all the same."""
        try:
            self.go_by(await asyncio.to_thread(self.state.look))
        except SerinError as error:
            _log.error("%s", error)
        loop = asyncio.get_running_loop()

        def heard(seen: Seen) -> None:
            if not self._stopped.is_set():
                loop.call_soon_threadsafe(self.go_by, seen)

        threading.Thread(target=self.state.follow, args=(heard, self._stopped), daemon=True).start()
        self._acknowledging = loop.create_task(self._acknowledge())

    async def stop(self) -> None:
        """Follow no longer, and let nobody wait for this replica."""
        self._stopped.set()
        if self._acknowledging is not None:
            self._acknowledging.cancel()
            await asyncio.gather(self._acknowledging, return_exceptions=True)
            try:
                await asyncio.to_thread(self.state.forget, self.replica)
            except SerinError as error:
                _log.warning("%s", error)

    def go_by(self, seen: Seen) -> None:
        """Use this for the next request on; an older version, which a slow read may bring, changes nothing."""
        if seen.weights.version < self.weights.version:
            return
        self.weights = seen.weights
        self.running = seen.ready - set(seen.weights.retiring)
        self.starting = seen.starting - set(seen.weights.retiring)
        self._changed.set()

    async def _acknowledge(self) -> None:
        while True:
            self._changed.clear()
            pause_s = self.state.renew_s
            try:
                await asyncio.to_thread(self.state.acknowledge, self.replica, self.weights.version)
            except SerinError as error:
                _log.warning("%s; the weights in force are version %d", error, self.weights.version)
                pause_s = _RETRY_S
            with suppress(TimeoutError):
                # wait_for would lose, before Python 3.12, a cancellation that comes together with a change.
                async with asyncio.timeout(pause_s):
                    await self._changed.wait()
