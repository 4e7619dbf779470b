"""A real Chromium without a window, driven over its DevTools protocol."""

import asyncio
import base64
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)

_KEYS = {"ArrowLeft": 37, "ArrowRight": 39, "Tab": 9, "Enter": 13}
_START_S = 30.0


class Page:
    """One tab. ``noise`` holds what the page logged as an error and the requests that it made."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, profile: Path, downloads: Path) -> None:
        self.profile = profile
        self.downloads = downloads
        self.noise: list[str] = []
        self._socket = socket
        self._last = 0
        self._downloads_done = 0
        self._session: str | None = None

    async def attach(self) -> None:
        """Make the tab, and listen to it."""
        await self._call(
            "Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads), eventsEnabled=True
        )
        target = await self._call("Target.createTarget", url="about:blank")
        attached = await self._call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self._call(f"{domain}.enable")

    async def close(self) -> None:
        """Close the browser as a user does: what the page keeps is written."""
        self._session = None
        await self._call("Browser.close")

    async def open(self, url: str) -> None:
        await self._call("Page.navigate", url=url)
        while await self.run("document.readyState") != "complete":
            await asyncio.sleep(0.02)

    async def resize(self, width: int, height: int) -> None:
        await self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    async def run(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        done = await self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    async def text(self, selector: str) -> str:
        return str(await self.run(f"document.querySelector({json.dumps(selector)}).textContent"))

    async def click(self, selector: str) -> None:
        """Where the middle of the element is, as a mouse would; whatever lies above it gets the click."""
        box = await self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center'}});"
            " const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self._call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    async def press(self, *keys: str) -> None:
        for key in keys:
            code = _KEYS.get(key, ord(key[0].upper()))
            text = {} if key in _KEYS else {"text": key}
            await self._call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
            await self._call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    async def type(self, text: str) -> None:
        await self._call("Input.insertText", text=text)

    async def screenshot(self, path: Path) -> None:
        shot = await self._call("Page.captureScreenshot", captureBeyondViewport=False)
        path.write_bytes(base64.b64decode(shot["data"]))

    async def downloaded(self, name: str) -> Path:
        """The file once it is there whole."""
        async with asyncio.timeout(10):
            while self._downloads_done == 0:
                await self.run("1")  # events come with replies
        self._downloads_done -= 1
        return self.downloads / name

    async def stored(self, text: str) -> None:
        """Wait until the page's storage with this text, not all of it Latin, is on the disk.

        Chromium writes some seconds after the page does, and one that is closed on a busy machine may not have heard of it yet.
        """
        async with asyncio.timeout(30):
            while not any(text.encode("utf-16-le") in file.read_bytes() for file in self._storage_files()):
                await asyncio.sleep(0.1)

    def _storage_files(self) -> list[Path]:
        return list((self.profile / "Default" / "Local Storage" / "leveldb").glob("*.log"))

    async def _call(self, method: str, **params: Any) -> Any:
        self._last += 1
        call = {"id": self._last, "method": method, "params": params}
        await self._socket.send_json(call | ({"sessionId": self._session} if self._session else {}))
        while True:
            said = json.loads(await self._socket.receive_str(timeout=20))
            if said.get("id") == self._last:
                assert "error" not in said, said["error"]
                return said["result"]
            self._listen(said)

    def _listen(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent":
            if not params["request"]["url"].startswith(("file:", "about:", "blob:")):
                self.noise.append(params["request"]["url"])
        elif event.get("method") == "Browser.downloadProgress":
            self._downloads_done += params["state"] == "completed"
        elif event.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.noise.append(params["entry"]["text"])
        elif event.get("method") == "Runtime.exceptionThrown":
            self.noise.append(str(params["exceptionDetails"]))


@asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Page]:
    """A page of a browser whose storage lies in ``profile``, and outlives it there."""
    assert CHROMIUM is not None
    downloads = profile.with_name(f"{profile.name}-downloads")
    downloads.mkdir(parents=True, exist_ok=True)
    (profile / "DevToolsActivePort").unlink(missing_ok=True)
    process = await asyncio.create_subprocess_exec(
        *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
        *("--remote-debugging-port=0", f"--user-data-dir={profile}", "--disable-background-networking", "about:blank"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        port, path = await _address(profile / "DevToolsActivePort")
        async with aiohttp.ClientSession(trust_env=False) as session:
            socket = session.ws_connect(f"ws://127.0.0.1:{port}{path}", max_msg_size=0)
            async with socket as connected:
                page = Page(connected, profile, downloads)
                await page.attach()
                yield page
                await page.close()
        await asyncio.wait_for(process.wait(), 20)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _address(file: Path) -> tuple[str, str]:
    async with asyncio.timeout(_START_S):
        while True:
            lines = file.read_text().split() if file.is_file() else []
            if len(lines) == 2:
                return lines[0], lines[1]
            await asyncio.sleep(0.05)
