"""A page in headless Chromium, over the DevTools protocol: what it fetches, and how it lies on a screen."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
MEASURE = """(() => {
  document.querySelectorAll("details").forEach(part => part.open = true);
  const boxed = part => part.closest(".scroll, nav, svg");
  const wide = [...document.querySelectorAll("body *")].filter(
    part => !boxed(part) && part.getBoundingClientRect().right > window.innerWidth + 1);
  const sizes = [...document.querySelectorAll("p, td, th, dt, dd, summary, code, pre, span, svg text")].filter(
    part => part.getClientRects().length).map(part => {
      const drawn = part.closest("svg");
      const scale = drawn ? drawn.getBoundingClientRect().width / drawn.viewBox.baseVal.width : 1;
      return parseFloat(getComputedStyle(part).fontSize) * scale; });
  const cut = [...document.querySelectorAll("svg text")].filter(part => {
    const own = part.getBoundingClientRect(), all = part.closest("svg").getBoundingClientRect();
    return all.width && (own.left < all.left - 2 || own.right > all.right + 2); });
  const sideways = [...document.querySelectorAll("table.cards, table.narrow")].filter(
    part => part.getClientRects().length && part.scrollWidth > part.parentElement.clientWidth + 1);
  return {page: document.documentElement.scrollWidth, screen: window.innerWidth, smallest: Math.min(...sizes),
    wide: wide.map(part => part.outerHTML.slice(0, 80)), cut: cut.map(part => part.textContent),
    sideways: sideways.map(part => part.textContent.slice(0, 60))};
})()"""


@dataclass(frozen=True)
class Seen:
    """A page as it was loaded and laid out, all folds open."""

    requests: tuple[str, ...]
    """Addresses that it asked for, itself included."""
    layout: dict[str, Any]
    """`page` and `screen` width and `smallest` text, in CSS pixels; elements too `wide` for the screen; words of plots
    that are `cut`; tables that go `sideways` though they should fit."""


class _Session:
    def __init__(self, socket: Any) -> None:
        self.socket, self.sent, self.events = socket, 0, list[dict[str, Any]]()

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self.sent += 1
        self.socket.send(json.dumps({"id": self.sent, "method": method, "params": params}))
        while (message := json.loads(self.socket.recv(30))).get("id") != self.sent:
            self.events.append(message)
        assert "error" not in message, message
        return message["result"]

    def wait(self, method: str) -> None:
        while not any(event["method"] == method for event in self.events):
            self.events.append(json.loads(self.socket.recv(30)))


@contextmanager
def _chromium(profile: Path) -> Iterator[str]:
    """Address of the DevTools of a browser that reaches no network."""
    assert CHROMIUM
    flags = [
        "--headless", "--hide-scrollbars", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
        "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-port=0",
        f"--user-data-dir={profile}",
    ]  # fmt: skip
    with subprocess.Popen(
        [CHROMIUM, *flags, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr
            for line in process.stderr:
                if "DevTools listening on ws://" in line:
                    yield line.split("ws://")[1].split("/")[0]
                    break
            else:
                raise AssertionError("Chromium ended before it listened")
        finally:
            process.terminate()


def look(page: Path, profile: Path, width: int, scheme: str = "light") -> Seen:
    """Load a page in a window of `width` CSS pixels, as a reader with a `light` or `dark` system does."""
    from urllib.request import urlopen

    from websockets.sync.client import connect

    with _chromium(profile) as address:
        targets = json.load(urlopen(f"http://{address}/json", timeout=30))
        (target,) = (one for one in targets if one["type"] == "page")
        with connect(target["webSocketDebuggerUrl"], max_size=None) as socket:
            session = _Session(socket)
            session.call(
                "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
            )
            session.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            session.call("Network.enable")
            session.call("Page.enable")
            session.call("Page.navigate", url=page.resolve().as_uri())
            session.wait("Page.loadEventFired")
            found = session.call("Runtime.evaluate", expression=MEASURE, returnByValue=True)["result"]["value"]
    asked = [event for event in session.events if event["method"] == "Network.requestWillBeSent"]
    return Seen(tuple(event["params"]["request"]["url"] for event in asked), found)
