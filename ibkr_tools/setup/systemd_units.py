"""What `ibkr-tools setup` asks of systemd: is a unit there, when does the timer elapse, start it."""

import re
import subprocess
from pathlib import Path

from ibkr_tools import files
from ibkr_tools.config.secrets import PASSWORD_CREDENTIAL
from ibkr_tools.errors import ConfigError, GatewayUnavailable, OutputError, UsageError
from ibkr_tools.instance import current_instance, unit_of
from ibkr_tools.setup.setup_plan import FETCH_TIMER, GATEWAY_UNIT, LOGIN_UNIT, SystemdState

ADMINISTRATORS_UNITS = Path("/etc/systemd/system")
"""Where an administrator's drop-ins are; see systemd.unit(5)."""

DROP_IN = "50-schedule.conf"

SYSTEMCTL_TIMEOUT_S = 180.0
"""In seconds; the gateway is given 75 to start, and the one before it 15 to end."""


class SystemdUnits:
    """The units of an instance on this machine, by their plain names; `directory` is where drop-ins are written."""

    def __init__(self, directory: Path = ADMINISTRATORS_UNITS) -> None:
        self._drop_in = directory / f"{_named(FETCH_TIMER)}.d" / DROP_IN

    def is_installed(self, unit: str) -> bool:
        """Says whether systemd knows a unit.

        Raises:
            ConfigError: there is no systemd on this machine.
        """
        return self._property(unit, "LoadState") == "loaded"

    def state(self) -> SystemdState:
        """Returns what is enabled and active.

        Raises:
            ConfigError: there is no systemd on this machine.
        """
        calendars = re.findall(r"OnCalendar=(.*?) ;", self._property(FETCH_TIMER, "TimersCalendar"))
        return SystemdState(
            gateway_active=self._property(GATEWAY_UNIT, "ActiveState") in {"active", "activating", "reloading"},
            timer_enabled=self._property(FETCH_TIMER, "UnitFileState") == "enabled",
            calendar=calendars[0] if len(calendars) == 1 else None,
        )

    def has_encrypted_password(self) -> bool:
        """Says whether the unit of the login takes the password from an encrypted credential."""
        return PASSWORD_CREDENTIAL in self._property(LOGIN_UNIT, "LoadCredentialEncrypted")

    def normalised(self, expression: str) -> str:
        """Returns an expression of OnCalendar= as systemd writes it.

        Raises:
            UsageError: it is none, by systemd's own words.
            ConfigError: there is no systemd-analyze on this machine.
        """
        if not expression.strip() or not expression.isprintable():
            raise UsageError("a time as systemd has it, such as 07:00 or Mon..Fri 18:00; or none")
        done = _run(["systemd-analyze", "calendar", "--", expression])
        found = re.search(r"^ *Normalized form: (.+)$", done.stdout, re.MULTILINE)
        if done.returncode != 0 or found is None:
            reason = (done.stderr.strip() or "not a time").splitlines()[0]
            raise UsageError(f"{reason}; a time is such as 07:00 or Mon..Fri 18:00")
        return found[1].strip()

    def write_schedule(self, text: str) -> None:
        """Writes the drop-in of the timer.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            self._drop_in.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            files.write_atomically(self._drop_in, text.encode(), mode=0o644)
        except OSError as error:
            raise OutputError(f"{error.filename or self._drop_in}: {error.strerror}") from error

    def call(self, *arguments: str) -> None:
        """Has systemctl do something; returns when it is done.

        Raises:
            GatewayUnavailable: it failed.
            ConfigError: there is no systemd on this machine.
        """
        arguments = tuple(_named(word) if word.startswith("ibkr-") else word for word in arguments)
        done = _run(["systemctl", "--quiet", *arguments])
        if done.returncode != 0:
            reason = (done.stderr.strip() or f"ended with {done.returncode}").splitlines()[0]
            unit = arguments[-1]
            raise GatewayUnavailable(
                f"systemctl {' '.join(arguments)}: {reason}", hint=f"journalctl -u {unit} -n 20 says why."
            )

    def _property(self, unit: str, name: str) -> str:
        return _run(["systemctl", "show", "--value", f"--property={name}", _named(unit)]).stdout.strip()


def _named(unit: str) -> str:
    return unit_of(unit, current_instance())


def _run(command: list[str]) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=SYSTEMCTL_TIMEOUT_S,
        )
    except FileNotFoundError:
        raise ConfigError(
            f"{command[0]} is not there: this machine has no systemd",
            hint="`ibkr-tools up` runs the same programs under one terminal; docs/configuration.md says what to write.",
        ) from None
    except subprocess.TimeoutExpired:
        raise GatewayUnavailable(
            f"{' '.join(command)} took longer than {SYSTEMCTL_TIMEOUT_S:.0f} s", hint="systemctl list-jobs"
        ) from None
