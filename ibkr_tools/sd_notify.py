"""What a unit tells systemd: ready, one line of status, still useful, stopping."""

import os
from collections.abc import Mapping
from datetime import timedelta

import sdnotify

from ibkr_tools import account_ids


class SystemdNotifier:
    """Speaks the sd_notify protocol on the socket systemd gave us; silent when there is none.

    sdnotify swallows every error, so a broken socket looks like silence: systemd then ends the unit, which is
    right. Source: sd_notify(3).
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        env = os.environ if environ is None else environ
        self._socket = sdnotify.SystemdNotifier() if env.get("NOTIFY_SOCKET") else None
        ours = env.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_interval = (
            timedelta(microseconds=int(env["WATCHDOG_USEC"])) if ours and env.get("WATCHDOG_USEC") else None
        )
        """How long systemd waits for `watchdog()` before it ends us; None: it does not."""

    @property
    def is_connected(self) -> bool:
        """Whether anybody gave us a socket."""
        return self._socket is not None

    def _send(self, message: str) -> None:
        if self._socket is not None:
            # sdnotify sends Latin-1 and swallows what does not fit; systemd takes nothing but UTF-8.
            self._socket.notify(message.encode().decode("latin-1"))

    def ready(self) -> None:
        """The unit is started: what depends on it may start."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """Shows `text` in `systemctl status`, to every user of the machine: one line, without account numbers."""
        self._send("STATUS=" + account_ids.NUMBER_IN_TEXT.sub("…", " ".join(text.split())))

    def watchdog(self) -> None:
        """Says that the useful thing was just done, not merely that the process exists."""
        self._send("WATCHDOG=1")

    def extend_timeout(self, duration: timedelta) -> None:
        """Moves the start or stop timeout: at least `duration` more from now."""
        self._send(f"EXTEND_TIMEOUT_USEC={duration // timedelta(microseconds=1)}")

    def stopping(self) -> None:
        """The unit is on its way out."""
        self._send("STOPPING=1")
