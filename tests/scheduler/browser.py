"""A real Chromium, driven over the W3C WebDriver protocol."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx

from tests.conftest import free_port
from tests.scheduler.processes import wait_for

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip


class Browser:
    def __init__(self, client: httpx.Client, session: str) -> None:
        self._client = client
        self._session = f"/session/{session}"

    def command(self, path: str, **body: Any) -> Any:
        answer = self._client.post(self._session + path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["value"]

    def open(self, address: str) -> None:
        self.command("/url", url=address)

    def run(self, script: str, *arguments: object) -> Any:
        return self.command("/execute/sync", script=script, args=list(arguments))

    def console(self) -> list[str]:
        return [entry["message"] for entry in self.command("/se/log", type="browser")]

    def prefer(self, scheme: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.command("/goog/cdp/execute", cmd="Emulation.setEmulatedMedia", params={"features": features})

    def resize(self, width: int, height: int) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.command("/goog/cdp/execute", cmd="Emulation.setDeviceMetricsOverride", params=size)


@contextlib.contextmanager
def browsing() -> Iterator[Browser]:
    """A browser with an empty profile, gone afterwards."""
    port = free_port()
    profile = tempfile.mkdtemp(prefix="opstest-chromium-")
    driver = subprocess.Popen(
        ["chromedriver", f"--port={port}", "--silent"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
            wait_for(lambda: _is_ready(client))
            wanted = {
                "browserName": "chrome",
                "goog:chromeOptions": {
                    "binary": shutil.which("chromium"), "args": [*FLAGS, f"--user-data-dir={profile}"],
                },
                "goog:loggingPrefs": {"browser": "ALL"},
            }  # fmt: skip
            answer = client.post("/session", json={"capabilities": {"alwaysMatch": wanted}})
            assert answer.status_code == 200, answer.text
            session = answer.json()["value"]["sessionId"]
            try:
                yield Browser(client, session)
            finally:
                client.delete(f"/session/{session}")
    finally:
        driver.terminate()
        driver.wait(20)
        shutil.rmtree(profile, ignore_errors=True)


def _is_ready(client: httpx.Client) -> bool:
    try:
        return bool(client.get("/status").json()["value"]["ready"])
    except httpx.TransportError:
        return False
