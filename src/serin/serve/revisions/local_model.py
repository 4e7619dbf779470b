"""A revision's folder is local already: vLLM's replica need not prepare downloads, which costs a process and its imports."""

from ray.llm._internal.common.callbacks.base import CallbackBase  # the documented base of ``callback_config``


class LocalModel(CallbackBase):  # type: ignore[misc] # Ray ships no types
    """Named in ``LLMConfig.callback_config``; skips the remote task that would fetch the model."""

    async def on_before_node_init(self) -> None:
        """Say that there is nothing to fetch."""
        self.ctx.run_init_node = False
