"""The second factor as IBKR's side sees it: codes that are right or not, pushes that somebody approves or not."""

import base64
import hashlib
import hmac
import time
from dataclasses import dataclass

from ibkr_tools.simulator.settings import PageSettings

__all__ = ["SecondFactorAuthenticator", "totp"]

STEP_S = 30


def totp(secret: str, moment: float) -> str:
    """Return the six digits of RFC 6238 for a base32 secret at `moment` (seconds since the epoch)."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, int(moment // STEP_S).to_bytes(8, "big"), hashlib.sha1).digest()
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"


@dataclass(slots=True)
class _PendingFactor:
    codes: int = 0
    pushed_at: float | None = None


class SecondFactorAuthenticator:
    """Checks what comes after the password. An authenticator's code counts in its 30 seconds only, and only once."""

    def __init__(self) -> None:
        """Nobody was asked yet."""
        self._asked: dict[str, _PendingFactor] = {}
        self._used: set[tuple[str, str, int]] = set()
        self.codes = 0
        self.pushes = 0

    def choose(self, nonce: str, method: str) -> None:
        """Take note of the chosen method: `5.2a` sends a push."""
        if method.startswith("5.2"):
            self.pushes += 1
            self._of(nonce).pushed_at = time.monotonic()

    def accepts(self, page: PageSettings, nonce: str, code: str, *, now: float) -> bool:
        """Judge a code at `now`, seconds since the epoch on the servers' clock."""
        asked = self._of(nonce)
        asked.codes += 1
        self.codes += 1
        if asked.codes <= page.second_factor_refusals:
            return False
        if not page.second_factor_secret:
            return code == page.second_factor_code
        use = (page.second_factor_secret, code, int(now // STEP_S))
        right = code == totp(page.second_factor_secret, now) and use not in self._used
        self._used.add(use)
        return right

    def push_state(self, page: PageSettings, nonce: str) -> str:
        """Say what became of the push: `approved`, `waiting`, or `over` when the page shall show a challenge."""
        since = self._of(nonce).pushed_at
        waited_ms = 0.0 if since is None else (time.monotonic() - since) * 1000
        if page.push_approved or (page.push_approved_after_ms is not None and waited_ms >= page.push_approved_after_ms):
            return "approved"
        flips = page.push_flips_after_ms is not None and waited_ms >= page.push_flips_after_ms
        return "over" if flips else "waiting"

    def _of(self, nonce: str) -> _PendingFactor:
        return self._asked.setdefault(nonce, _PendingFactor())
