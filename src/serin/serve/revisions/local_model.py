"""What vLLM's replica does before it loads its model: have the model on its node, and see where it is to be computed."""

import asyncio
import os
from pathlib import Path
from typing import IO

from ray.llm._internal.common.callbacks.base import CallbackBase  # the documented base of ``callback_config``
from ray.llm._internal.serve.engines.vllm import vllm_models

from serin.serve.revisions.node_cache import hold_model, storage_of

_HELD: list[IO[bytes]] = []
"""The models that this process uses; the kernel lets go of them when it ends, however it ends."""


class LocalModel(CallbackBase):  # type: ignore[misc] # Ray ships no types
    """Named in ``LLMConfig.callback_config``, with the model's ``prefix`` in storage where it has to be fetched.

    With ``one_process`` vLLM's engine computes itself, as it does on one GPU. Ray has a CPU's engine start a process for that
    (0.8 GB, and a third of its start), which is good for machines of many cores, whose threads vLLM then binds to them. It
    cannot be asked for otherwise: Ray overwrites what ``engine_kwargs`` says.

    It skips the remote task of Ray that would fetch the model, which costs a process and its imports.
    """

    async def on_before_node_init(self) -> None:
        """Have the model on this node; the replica's process holds it until it ends."""
        self.ctx.run_init_node = False
        if self.kwargs.get("one_process"):
            vllm_models.EXECUTOR_BACKEND_MP = "uni"
        prefix = self.kwargs.get("prefix")
        if prefix is not None:
            folder = Path(self.llm_config.model_loading_config.model_source)
            held = await asyncio.to_thread(hold_model, storage_of(os.environ), prefix, folder)
            _HELD.append(held)
