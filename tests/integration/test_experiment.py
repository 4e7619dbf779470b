"""An experiment over HTTP: users, gateways that restart, commands that are killed and doubled, and the better of three arms."""

import asyncio
import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from serin.clients.serving_state import Declared, FolderState, RevisionStatus
from serin.core.params import ServeParams
from serin.core.revision import Revision
from serin.serve.gateway.app import Gateway
from serin.serve.gateway.replica import gateway_settings

from ..serving.gateways import served

STABLE, BETTER, SAME = (f"law@{digit * 64}" for digit in "abc")
BAD = {STABLE: 0.5, BETTER: 0.03, SAME: 0.5}
PARAMS = "experiment: {warmup_s: 0, horizon_s: 1, alpha: 0.05}\nrollout: {warmup_s: 600}\n"
LIMIT_S = 120.0


@dataclass
class Place:
    """Serving on this machine, and what each user got from it."""

    folder: Path
    answered: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def __post_init__(self) -> None:
        self.state = FolderState(self.folder / "serve")
        for name in BAD:
            self.state.change_topology(lambda present, name=name: present.with_revision(name, Declared("models")))  # type: ignore[misc]
        self.state.write_status({name: RevisionStatus("ready") for name in BAD})
        self.state.change_weights(lambda present: type(present)(stable=STABLE))
        (self.folder / "params.yaml").write_text(PARAMS)

    async def spawn(self, *arguments: str) -> asyncio.subprocess.Process:
        """``serin`` with these arguments; experiments and rollouts lie in the folder, where it runs."""
        options = ["--state", str(self.state.folder)]
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "serin", *arguments, *options),
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def serin(self, *arguments: str, code: int = 0) -> str:
        """What it says."""
        process = await self.spawn(*arguments)
        out, err = await asyncio.wait_for(process.communicate(), LIMIT_S)
        assert process.returncode == code, (out, err)
        return (out if code == 0 else err).decode()

    async def status(self) -> Any:
        return json.loads(await self.serin("experiment", "status", "--output", "json"))

    async def follows(self) -> None:
        """Until the gateway follows the present weights."""
        version = self.state.weights().version
        async with asyncio.timeout(LIMIT_S):
            while not self.state.acknowledged(version, time.time()):
                await asyncio.sleep(0.02)

    async def play(self, url: str, users: Sequence[str]) -> None:
        """Each user asks twice and rates the first answer."""
        rng = random.Random(users[0])
        async with aiohttp.ClientSession(url) as session:
            for user in users:
                request = await self.ask(session, user)
                score = float(rng.random() >= BAD[next(iter(self.answered[user]))])
                rated = {"request_id": request, "score": score}
                async with session.post("/v1/feedback", json=rated) as response:
                    assert response.status == 200
                await self.ask(session, user)

    async def ask(self, session: aiohttp.ClientSession, user: str) -> str:
        asked = {"model": "serin", "user": user, "messages": [{"role": "user", "content": "?"}]}
        async with session.post("/v1/chat/completions", json=asked) as response:
            assert response.status == 200, await response.text()
            await response.read()
            self.answered[user].add(response.headers["x-serin-revision"])
            return response.headers["x-request-id"]


@asynccontextmanager
async def revisions() -> AsyncIterator[int]:
    """The port behind which they all answer."""

    async def answer(request: web.Request) -> web.Response:
        assert request.match_info["label"] in {Revision.parse(name).label for name in BAD}
        return web.json_response({"choices": [{"message": {"role": "assistant", "content": "!"}}]})

    application = web.Application()
    application.router.add_post("/r/{label}/v1/chat/completions", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def gateway(place: Place, port: int, replica: str) -> AsyncIterator[str]:
    """One that has just started, and follows the weights."""
    made = Gateway(gateway_settings(ServeParams(port=port), "s" * 32, (b"k" * 32,)), place.state, replica)
    async with served(made) as url:
        await made.start()
        try:
            await place.follows()
            yield url
        finally:
            await made.close()


def users(first: int, count: int) -> list[list[str]]:
    """Of eight at a time."""
    return [[f"user-{n}" for n in range(first + lane, first + count, 8)] for lane in range(8)]


async def everybody(place: Place, url: str, lanes: Sequence[Sequence[str]]) -> None:
    await asyncio.gather(*(place.play(url, lane) for lane in lanes))


async def conduct(place: Place) -> None:
    async with revisions() as port:
        async with gateway(place, port, "before") as url:
            assert "has started" in await place.serin("experiment", "start", BETTER, SAME, "--params", "params.yaml")
            assert "goes on" in await place.serin("experiment", "start", BETTER, SAME, "--params", "params.yaml")
            refused = await place.serin("rollout", "start", BETTER, "--params", "params.yaml", code=2)
            assert "'serin experiment stop' first" in refused
            await place.follows()
            # One that watches is killed while users come, and two count at once.
            watching = await place.spawn("experiment", "status", "--watch")
            await everybody(place, url, users(0, 160))
            await asyncio.gather(place.status(), place.status())
            if watching.returncode is None:
                watching.kill()
            await watching.communicate()
        async with gateway(place, port, "after") as url:
            await everybody(place, url, users(0, 400))
            async with asyncio.timeout(LIMIT_S):
                while (view := await place.status())["units"] < 400:
                    await asyncio.sleep(0.5)
            assert view["winner"] == BETTER
            assert (view["phase"], view["split_is_broken"], view["units"]) == ("running", False, 400)
            assert all(len(got) == 1 for got in place.answered.values()), "a user moved to another arm"
            assert {name for got in place.answered.values() for name in got} == set(BAD)
            for arm in view["arms"]:
                assert arm["units"] == sum(got == {arm["revision"]} for got in place.answered.values())

            said = await place.serin("experiment", "stop", "--winner", BETTER[:12], "--reason", "better", "--by", "eva")
            assert f"serin rollout start {BETTER}" in said
            weights = place.state.weights()
            assert (weights.stable, weights.experiment, weights.variants) == (STABLE, None, {})
            await place.follows()
            place.answered.clear()
            await everybody(place, url, users(0, 16))
            assert all(got == {STABLE} for got in place.answered.values())
            page = (await place.serin("experiment", "report")).strip()
            assert "law@bbbbbbbb wins" in (place.folder / page).read_text()


def test_the_better_of_three_arms_is_found_and_nobody_moves(tmp_path: Path) -> None:
    asyncio.run(conduct(Place(tmp_path)))
