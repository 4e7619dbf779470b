"""Which of pytest-xdist's workers runs which tests: a file's together, for they share fixtures, and all that start vLLM."""

from xdist.scheduler import LoadScopeScheduling

START_VLLM = {
    "test_adapter_in_vllm.py",
    "test_answers.py",
    "test_gateway_vllm.py",
    "test_quantise.py",
    "test_serving.py",
    "test_templates.py",
}
"""One after the other: each takes gigabytes of memory, and all of the cores while it loads."""


class FilesTogether(LoadScopeScheduling):
    """Hands whole files out in the order of their collection: the long ones come first, the short ones fill both workers up."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "vLLM" if file.rpartition("/")[2] in START_VLLM else file
