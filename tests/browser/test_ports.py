"""The ports from which Chromium opens no page: the list is the installed one's."""

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from ibkr_tools.config.values import RESTRICTED_PORTS
from ibkr_tools.login.browser import Browser
from ibkr_tools.login.browser_protocol import PageChanging
from tests.browser.shared_chromium import SharedChromium
from tests.support.simulation import wait_until

pytestmark = pytest.mark.browser

ASK = """
for (const port of arguments[0])
  fetch(`http://127.0.0.1:${port}/asked`, {mode: "no-cors", signal: AbortSignal.timeout(5000)}).catch(() => 0);
"""
SEVERAL = 400
"""How many ports are asked at once."""


def events(browser: Browser) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields what Chromium's network record has that is new."""
    for line in browser._driver.execute("getLog", {"type": "performance"})["value"]:
        message = json.loads(line["message"])["message"]
        yield message["method"], message["params"]


def ask(browser: Browser, ports: list[int]) -> None:
    """Has the page ask these ports; on a busy machine it may run into the limit of one try, and asks again."""

    def has_asked() -> bool:
        try:
            browser._run(ASK, ports)
        except PageChanging:
            return False
        return True

    wait_until(has_asked, 60)


def test_list_is_chromiums(shared_chromium: SharedChromium) -> None:
    """Every port up to the highest one of the list and some beyond; a new one is to be added to it."""
    refused, answered = set[int](), set[int]()
    ports: dict[str, int] = {}
    wanted = list(range(1, max(RESTRICTED_PORTS) + 2000))
    with shared_chromium.lend() as browser:
        browser.open("about:blank")
        for begin in range(0, len(wanted), SEVERAL):
            some = wanted[begin : begin + SEVERAL]
            ask(browser, some)
            deadline_s = time.monotonic() + 60
            again = set[int]()
            while not answered.issuperset(some):
                assert time.monotonic() < deadline_s, sorted(set(some) - answered)
                for method, event in events(browser):
                    if method == "Network.requestWillBeSent":
                        ports[event["requestId"]] = urlsplit(event["request"]["url"]).port or 80
                    elif method in {"Network.loadingFailed", "Network.loadingFinished"}:
                        port = ports.get(event["requestId"], 0)
                        if event.get("errorText") == "net::ERR_ABORTED" and port not in again:
                            # The page's own limit: on a busy machine it may end before Chromium has looked at the port.
                            again.add(port)
                            ask(browser, [port])
                            continue
                        answered.add(port)
                        if event.get("errorText") == "net::ERR_UNSAFE_PORT":
                            refused.add(port)
    assert refused == RESTRICTED_PORTS
