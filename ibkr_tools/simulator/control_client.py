"""A client of the simulator's control port. Needs only the standard library, so `bin/demo` can use it too."""

import http.client
import json
from typing import Any, Literal

__all__ = ["ControlClient", "ControlError"]


class ControlError(RuntimeError):
    """The control port refused an order; the message says why."""


class ControlClient:
    """Talks to one simulator's control port; every method raises ControlError on refusal, OSError if it is gone."""

    def __init__(self, port: int, host: str = "127.0.0.1", timeout_s: float = 10.0) -> None:
        """Remember where the port is; nothing is sent yet."""
        self._host, self._port, self._timeout_s = host, port, timeout_s

    def state(self) -> dict[str, Any]:
        """Return users, sessions, counters, requests, faults and settings."""
        return self._call("GET", "/state", None)

    def submitted(self) -> int:
        """Return how many passwords were submitted so far, by all users."""
        count: int = self.state()["counters"]["submitted"]
        return count

    def drop(
        self,
        tier: Literal["all", "brokerage"] = "all",
        push: Literal["sts", "close", "silent"] = "sts",
        user: str | None = None,
    ) -> int:
        """Lose the sessions (of one user, or all); return how many."""
        count: int = self._call("POST", "/drop", {"tier": tier, "push": push, "user": user})["dropped"]
        return count

    def fault(self, path: str, kind: str, **details: Any) -> None:
        """Order trouble; `details` are `count`, `for_s`, `status`, `body`, `delay_s`, `method` (see `faults.Fault`)."""
        self._call("POST", "/fault", {"path": path, "kind": kind, **details})

    def clear_faults(self, path: str | None = None) -> None:
        """Switch off the faults of one path pattern, or all."""
        self._call("POST", "/clear", {"what": "faults", "path": path})

    def clear(self) -> None:
        """Switch everything back to normal and unlock all users. Sessions stay."""
        self._call("POST", "/clear", {})

    def page(self, **settings: Any) -> dict[str, Any]:
        """Change the login page (see `settings.PageSettings`)."""
        return self._call("POST", "/page", settings)

    def behaviour(self, **settings: Any) -> dict[str, Any]:
        """Change the servers' behaviour (see `settings.BehaviourSettings`)."""
        return self._call("POST", "/behaviour", settings)

    def flex(self, **settings: Any) -> dict[str, Any]:
        """Change the Flex Web Service (see `flex_service.FlexSettings`); return its settings and counters."""
        return self._call("POST", "/flex", settings)

    def limits(self, **settings: Any) -> dict[str, Any]:
        """Change the pacing limits (see `settings.LimitSettings`)."""
        return self._call("POST", "/limits", settings)

    def advance(self, seconds: float) -> None:
        """Jump ahead in simulated time."""
        self._call("POST", "/time", {"advance": seconds})

    def set_speed(self, speed: float) -> None:
        """Let simulated time run `speed` times as fast as real time."""
        self._call("POST", "/time", {"speed": speed})

    def login(self, username: str = "demo-reader") -> str:
        """Open a session without a browser; return its token (the cookie XYZAB)."""
        token: str = self._call("POST", "/login", {"username": username})["token"]
        return token

    def compete(self, *, competing: bool = True, authenticated: bool = True) -> None:
        """Let another program of the same user take the brokerage tier, or give it back.

        With `authenticated` the session stays authenticated and competes; without, it is thrown out.
        """
        self._call("POST", "/compete", {"competing": competing, "authenticated": authenticated})

    def situation(self, name: str, for_s: float | None = None) -> None:
        """Have one of `situations.SITUATIONS`, for `for_s` simulated seconds if it may end by itself."""
        self._call("POST", "/situation", {"name": name, "for_s": for_s})

    def maintenance(self, kind: Literal["500", "503", "hang"] = "503", **details: Any) -> None:
        """Close IBKR's servers; `details` are `in_s`, `for_s`, `bulletin`, `delay_s`, `ends_sessions`."""
        self._call("POST", "/maintenance", {"kind": kind, **details})

    def penalty(self, for_s: float | None = None) -> None:
        """Put everybody into the penalty box, for `for_s` simulated seconds or as long as IBKR does."""
        self._call("POST", "/penalty", {"for_s": for_s})

    def gateway(self, *, up: bool) -> None:
        """End the program that listens, or start it again."""
        self._call("POST", "/gateway", {"up": up})

    def measure(self) -> dict[str, int]:
        """Return `most_in_flight` and `most_per_second` since the last time this was called, and measure anew."""
        return self._call("POST", "/measure", {})

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
            if response.status != 200:
                raise ControlError(f"{path}: {answer.get('error', response.status)}")
            return answer
        finally:
            connection.close()
