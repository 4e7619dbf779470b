"""``ray.serve.llm.build_openai_app`` as its guide starts it, with one revision; prints its port once it answers.

python benchmarks/peers/serve_llm.py MODEL_FOLDER MODEL_NAME
"""

import socket
import sys
import time

import ray
from ray import serve
from ray.serve.llm import LLMConfig, build_openai_app

folder, name = sys.argv[1:]
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
ray.init(num_cpus=16, include_dashboard=False, log_to_driver=False)
serve.start(http_options={"host": "127.0.0.1", "port": port})
config = LLMConfig(
    model_loading_config={"model_id": name, "model_source": folder},
    engine_kwargs={"enforce_eager": True, "max_model_len": 512, "dtype": "bfloat16", "kv_cache_memory_bytes": 1 << 30},
    accelerator_config={"kind": "cpu"},
    deployment_config={"num_replicas": 1, "max_ongoing_requests": 512},
)
serve.run(build_openai_app({"llm_configs": [config]}), name="llm", blocking=False)
print(port, flush=True)
while sys.stdin.readline():  # until the benchmark ends
    time.sleep(0.1)
serve.shutdown()
ray.shutdown()
