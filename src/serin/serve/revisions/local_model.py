"""What vLLM's replica does before it loads its model: nothing where the model lies on this machine, else fetch it."""

import asyncio
import os
from pathlib import Path
from typing import IO

from ray.llm._internal.common.callbacks.base import CallbackBase  # the documented base of ``callback_config``

from serin.serve.revisions.node_cache import hold_model, storage_of

_HELD: list[IO[bytes]] = []
"""The models that this process uses; the kernel lets go of them when it ends, however it ends."""


class LocalModel(CallbackBase):  # type: ignore[misc] # Ray ships no types
    """Named in ``LLMConfig.callback_config``, with the model's ``prefix`` in storage where it has to be fetched.

    It skips the remote task of Ray that would fetch the model, which costs a process and its imports.
    """

    async def on_before_node_init(self) -> None:
        """Have the model on this node; the replica's process holds it until it ends."""
        self.ctx.run_init_node = False
        prefix = self.kwargs.get("prefix")
        if prefix is not None:
            folder = Path(self.llm_config.model_loading_config.model_source)
            held = await asyncio.to_thread(hold_model, storage_of(os.environ), prefix, folder)
            _HELD.append(held)
