"""A browser that takes virtual time, in front of the simulator's login page: the calls that IBKR's script makes."""

import math
from collections.abc import Callable
from typing import Any

from bench.virtual import VirtualTime
from bench.wire import Connection
from ibkr_tools.login import page_scripts
from ibkr_tools.login.page_snapshot import LOGIN_PATH
from ibkr_tools.login.page_states import SUCCESS_TEXT
from ibkr_tools.login.redaction import Redactor
from ibkr_tools.simulator.password_authentication import password_proof

PAGE_S = 1.5
"""From the page to a submitted password."""

BASE = "https://127.0.0.1:5000"
FORM = {"username": "", "password": "", "submit": "Login"}


class VirtualBrowser:
    """A `LoginBrowser` of one page for one user; `on_submit` is called when the password goes out."""

    def __init__(
        self,
        time: VirtualTime,
        connection: Connection,
        username: str,
        password: str,
        redactor: Redactor,
        on_submit: Callable[[], None],
    ) -> None:
        self.redactor = redactor
        self._time = time
        self._connection = connection
        self._username = username
        self._password = password
        self._on_submit = on_submit
        self._shown = _page("about:blank")

    def open(self, url: str) -> None:
        """Asks for the page and for IBKR's note about maintenance."""
        self._shown = self._asked(lambda: self._load(url.removeprefix(BASE)))

    def _asked(self, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return ask()
        except OSError:
            # requests' errors are of this kind; so is a page that hangs.
            return _page("chrome-error://chromewebdata/", error="ERR_CONNECTION_REFUSED")

    def _load(self, path: str) -> dict[str, Any]:
        status, _, _ = self._connection.exchange("GET", path, b"", timeout_s=15.0)
        if status != 200:
            return _page(f"{BASE}{LOGIN_PATH}", status=status, text=f"HTTP {status}")
        _, bulletins = self._connection.form("/portal.proxy/v1/gstat/bulletins")
        if bulletins["bulletins"]:
            return _page(f"{BASE}{LOGIN_PATH}", visible={"bulletin": bulletins["bulletins"][0]["message"]})
        return _page(f"{BASE}{LOGIN_PATH}", visible=FORM)

    def run(self, script: str, *arguments: object) -> Any:
        """Does what a script of the login is for."""
        if script in (page_scripts.INSPECT, page_scripts.INSPECT_KNOWN):
            return self._shown
        if script == page_scripts.FILL:
            self._time.pause(PAGE_S)
            return True
        if script == page_scripts.SUBMIT_FORM:
            if arguments[-1]:
                self._on_submit()
                self._shown = self._asked(self._submit)
            return ""
        raise NotImplementedError(script)

    def _submit(self) -> dict[str, Any]:
        nonce, page = f"{self._time.clock():.6f}", self._connection
        _, challenge = page.form("/sso/Authenticator", ACTION="INIT", USER=self._username, A=nonce, LOGIN_TYPE="1")
        proof = password_proof(self._username, self._password, challenge["s"], challenge["B"])
        _, verdict = page.form("/sso/Authenticator", ACTION="COMPLETEAUTH", USER=self._username, A=nonce, M1=proof)
        if not verdict["auth_res"]:
            return _page(f"{BASE}{LOGIN_PATH}", visible={**FORM, "error": verdict["message"]})
        status, _ = page.form("/sso/Dispatcher", A=nonce)
        text = SUCCESS_TEXT if status == 200 else f"HTTP {status}"
        return _page(f"{BASE}/sso/Dispatcher", status=status, text=text)

    def read_document(self, _script: str, *_arguments: object, most: int) -> tuple[str, int]:
        """Returns what the page says, without anything that was typed."""
        return str(self._shown["text"])[:most], 0

    def stop(self) -> None:
        """Has nothing to stop."""

    def screenshot(self) -> bytes:
        """Draws nothing."""
        return b""

    def is_waiting_for(self, _suffix: str) -> bool:
        """Has had every answer."""
        return False

    def idle_s(self) -> float:
        """Has nothing under way."""
        return math.inf

    def last_document(self) -> str | None:
        """Has asked for none."""
        return None

    def has_handler(self, _script: str, *_arguments: object) -> bool:
        """Has a script that waits for the submission."""
        return True

    def last_answer(self, _suffix: str) -> str | None:
        """Has kept none."""
        return None

    def waits_after_429_s(self) -> list[float]:
        """Has been told no wait, by whichever 429."""
        return [0.0] * self._connection.too_many

    def clock_offset(self, _suffix: str) -> float | None:
        """Knows no other clock."""
        return None


def _page(
    url: str, *, status: int = 200, text: str = "Log in", visible: dict[str, str] | None = None, error: str = ""
) -> dict[str, Any]:
    """Returns what `page_scripts.INSPECT` returns of such a page."""
    return {
        "url": url,
        "parsed": True,
        "complete": True,
        "recognised": {},
        "text": text,
        "visible": visible or {},
        "inputs": len(visible or {}),
        "paper": None,
        "exchanges": 1,
        "exchange": 200,
        "document": 1.0,
        "status": status,
        "missing": 0,
        "error": error,
    }
