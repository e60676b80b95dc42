"""Headless Chromium over its debugging protocol: what it logs, what it asks for, what a click does."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tornado.websocket import websocket_connect

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)
START = 60
ANSWER = 60


def executable() -> str:
    """Where Chromium is; skips, or fails where INFOLAKE_REQUIRE names chromium."""
    found = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
    if found is None:
        reason = "no chromium on this machine: the page was not opened in a browser"
        if "chromium" in os.environ.get("INFOLAKE_REQUIRE", ""):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


class Page:
    """One tab: its ``problems`` (console, log, policy) and the addresses of its ``requests``."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.number = 0

    async def listen(self) -> None:
        while (text := await self.socket.read_message()) is not None:
            message = json.loads(text)
            if "id" in message:
                self.waiting.pop(message["id"]).set_result(message)
            else:
                self.note(message["method"], message["params"])

    def note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(params["exceptionDetails"])[:800])
        elif method == "Log.entryAdded" and params["entry"]["level"] in {"error", "warning"}:
            self.problems.append(params["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in {"error", "warning", "assert"}:
            self.problems.append(json.dumps(params["args"])[:800])

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        self.number += 1
        answer = self.waiting[self.number] = asyncio.get_running_loop().create_future()
        await self.socket.write_message(json.dumps({"id": self.number, "method": method, "params": params}))
        reply = await asyncio.wait_for(answer, ANSWER)
        assert "error" not in reply, reply
        return reply["result"]

    async def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        result = await self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def until(self, script: str) -> Any:
        """Wait until an expression is true."""
        for _ in range(300):
            if value := await self.run(script):
                return value
            await asyncio.sleep(0.1)
        pytest.fail(f"never true in the page: {script}; problems: {self.problems}")

    async def open(self, path: Path, fragment: str = "") -> None:
        """Load a file, once per browser, and wait until its charts are drawn."""
        await self.send("Page.navigate", url=path.as_uri() + fragment)
        await self.until("document.documentElement?.dataset.ready !== undefined")

    async def mouse(self, kind: str, x: float, y: float) -> None:
        button = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
        await self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button)

    async def click(self, x: float, y: float) -> None:
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            await self.mouse(kind, x, y)


@asynccontextmanager
async def chromium() -> AsyncIterator[Page]:
    folder = tempfile.mkdtemp()
    command = [executable(), *FLAGS, f"--user-data-dir={folder}", "about:blank"]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        socket = await websocket_connect(
            await asyncio.to_thread(_address, Path(folder)), max_message_size=2**27
        )
        page = Page(socket)
        listener = asyncio.create_task(page.listen())
        for domain in ("Page", "Runtime", "Log", "Network"):
            await page.send(f"{domain}.enable")
        try:
            yield page
        finally:
            socket.close()
            await asyncio.wait_for(listener, ANSWER)
            await asyncio.sleep(0.05)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _address(folder: Path) -> str:
    import time

    end = time.monotonic() + START
    while time.monotonic() < end:
        with suppress(OSError, ValueError, StopIteration):
            port = int((folder / "DevToolsActivePort").read_text().split()[0])
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=5) as answer:
                return next(t["webSocketDebuggerUrl"] for t in json.load(answer) if t["type"] == "page")
        time.sleep(0.1)
    pytest.fail("chromium did not start within a minute")


def browse(scenario: Callable[[Page], Awaitable[None]]) -> None:
    """Run a scenario in a fresh browser."""

    async def main() -> None:
        async with chromium() as page:
            await scenario(page)

    asyncio.run(main())
