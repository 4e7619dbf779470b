"""The ledger as Ray runs it: two gateway replicas keep one limit through it, and go on without it."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.timeout(400)

SCRIPT = textwrap.dedent(
    """
    import asyncio, json, time
    from datetime import UTC, datetime

    import ray
    from ray import serve

    from serin.serve.gateway.access.keys import Limits, new_key
    from serin.serve.gateway.access.ledger_over_ray import LedgerOverRay, ledger_application
    from serin.serve.gateway.access.limiter import Limiter

    LIMIT, LASTS_S = 1200, 6.0


    async def spend(limiters, key, lasts_s):
        asked, admitted, until = 0, 0, time.monotonic() + lasts_s
        while time.monotonic() < until:
            for limiter in limiters:
                asked += 1
                admitted += (await limiter.admit(key, "requests", 1.0)).admitted
            await asyncio.sleep(0.002)
        return asked, admitted


    async def meet(limiters):
        # Both tell the ledger of themselves every second; on a busy machine one such call may be late.
        while {limiter.replicas for limiter in limiters} != {len(limiters)}:
            for limiter in limiters:
                await limiter.return_surplus()
            await asyncio.sleep(0.1)


    async def main(handle):
        _, key = new_key("k", ["inference"], Limits(requests_per_minute=LIMIT), datetime.now(UTC), None)
        limiters = [Limiter(name, LedgerOverRay(handle), time.monotonic) for name in ("a", "b")]
        await meet(limiters)
        began = time.monotonic()
        asked, admitted = await spend(limiters, key, LASTS_S)
        lasted_s = time.monotonic() - began
        replicas = [limiter.replicas for limiter in limiters]
        serve.delete("limits")
        began = time.monotonic()
        _, alone = await spend(limiters, key, LASTS_S)
        alone_s = time.monotonic() - began
        print(json.dumps([LIMIT, asked, admitted, lasted_s, replicas, alone, alone_s]))


    started = {"num_cpus": 8, "include_dashboard": False, "log_to_driver": False, "object_store_memory": 100 << 20}
    ray.init(_node_ip_address="127.0.0.1", **started)
    serve.start(proxy_location="Disabled")
    handle = serve.run(ledger_application(), name="limits", route_prefix=None)
    asyncio.run(main(handle))
    serve.shutdown()
    ray.shutdown()
    """
)


def test_two_replicas_keep_one_limit_and_their_share_when_the_ledger_is_gone() -> None:
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (told,) = [line for line in done.stdout.splitlines() if line.startswith("[")]
    limit, asked, admitted, lasted_s, replicas, alone, alone_s = json.loads(told)
    allowed = limit * 0.1 + limit / 60 * lasted_s
    assert 0.7 * min(allowed, asked) <= admitted <= 1.1 * allowed  # a busy machine may ask for less than it may have
    assert replicas == [2, 2]
    assert 0 < alone <= 1.2 * (limit * 0.1 + limit / 60 * alone_s)
