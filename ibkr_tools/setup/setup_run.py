"""What happens after the answers: files are written, units started, and one login and one fetch say how it went."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ibkr_tools.config.config_writer import require_acceptable, write_document
from ibkr_tools.config.secret_writer import read_stored_secret, write_secret
from ibkr_tools.config.secrets import Secret
from ibkr_tools.errors import ConfigError
from ibkr_tools.installation import INSTALL_SERVICES
from ibkr_tools.privileges import group_id, service_user
from ibkr_tools.setup import simulated_user
from ibkr_tools.setup.answers import Answers, edited, password_problem, present_alert_command
from ibkr_tools.setup.own_commands import OwnCommands
from ibkr_tools.setup.setup_plan import (
    GATEWAY_UNIT,
    SIMULATOR_UNIT,
    Change,
    SystemdState,
    change_of,
    drop_in,
    needs_drop_in,
    next_step,
    systemctl_calls,
)
from ibkr_tools.setup.systemd_units import SystemdUnits

SESSION_WAIT_S = 90
"""How long the first positions wait for the watchdog, which looks once a minute whether a person has logged in."""

SHOWN_POSITIONS = 10
"""More than that would push what was said before off the screen."""


class SetupRun:
    """One run. Every method that returns an exit code has said what there is to say.

    Args:
        file: the configuration.
        units: systemd.
        commands: our own commands.
        say: tells the person one line.
    """

    def __init__(self, file: Path, units: SystemdUnits, commands: OwnCommands, say: Callable[[str], None]) -> None:
        self._file = file
        self._units = units
        self._commands = commands
        self._say = say
        self._password_file = file.with_name("password")

    def require_units(self) -> SystemdState:
        """Returns what is enabled and active, where the gateway is installed.

        Raises:
            ConfigError: it is not.
        """
        if not self._units.is_installed(GATEWAY_UNIT):
            raise ConfigError(
                f"{GATEWAY_UNIT} is not installed",
                hint=f"{INSTALL_SERVICES}; where only statements are fetched, {INSTALL_SERVICES} --with-gateway.",
            )
        return self._units.state()

    def has_password(self, present: Mapping[str, Any]) -> bool:
        """Says whether the login has a password already: in the configuration, in a file, or as a credential."""
        login = present.get("login") or {}
        return (
            self._waiting_password(present) is not None
            or not password_problem(read_stored_secret(self._password_file, "password"))
            or bool(login.get("password_file"))
            or self._units.has_encrypted_password()
        )

    def use_simulator(
        self, present: Mapping[str, Any], *, start: bool, may_download: Callable[[], bool] = lambda: False
    ) -> int:
        """Writes the configuration of the simulator's user, unless it is there, and starts everything.

        Raises:
            ConfigError: simulator or gateway are not installed, or there is a configuration of somebody's own.
        """
        if start and not self._units.is_installed(SIMULATOR_UNIT):
            raise ConfigError("the simulator is not installed", hint=f"{INSTALL_SERVICES} --simulator")
        after = simulated_user.simulated_configuration(present)
        if after is None:
            raise ConfigError(
                f"{self._file} is there and is not the simulator's; it stays as it is", hint="Move it away first."
            )
        if start and (code := self._install_gateway(may_download, option=" --simulator")):
            return code
        has_own = not password_problem(read_stored_secret(self._password_file, "password"))
        self._write(present, after, None if has_own else Secret(simulated_user.PASSWORD))
        if not start:
            return 0
        return self._start(change_of(present, after, None), self._units.state(), simulator=True)

    def apply(
        self,
        present: Mapping[str, Any],
        answers: Answers,
        password: Secret | None,
        state: SystemdState,
        *,
        start: bool,
        may_download: Callable[[], bool],
    ) -> int:
        """Writes what was answered, and starts everything if `start`; None as the password keeps the present one.

        `may_download` is asked whether IBKR's gateway is to be downloaded, if it is not installed.

        Raises:
            ConfigError: the configuration would be refused (nothing was changed), or the gateway is not installed.
            GatewayUnavailable: systemd could not start something.
            OutputError: a file cannot be written.
        """
        after = edited(present, answers)
        change = change_of(present, after, answers.schedule)
        is_other_user = self._write(present, after, password) or change.user
        if needs_drop_in(change, state):
            self._units.write_schedule(drop_in(str(change.schedule)))
        if change.schedule is not None:
            self._say(f"snapshots      {change.schedule}")
        if code := self._commands.run("config", "check"):
            return code
        if answers.alert_command and answers.alert_command != present_alert_command(present):
            # Whether somebody was told says the command itself; without a message a session can be had all the same.
            self._commands.run("alert", "--test")
        if not start:
            self._call_systemd(change, state, start=False)
            if not state.gateway_active:
                self._say("next: sudo systemctl start ibkr-gateway")
            return 0
        if code := self._install_gateway(may_download):
            return code
        if is_other_user and self._commands.is_refused():
            self._commands.run("unlock")
        return self._start(change, state)

    @staticmethod
    def _waiting_password(present: Mapping[str, Any]) -> Secret | None:
        """Returns the password that waits in the configuration to be moved; None without one of a user's own."""
        text = present.get("password")
        return Secret(text) if isinstance(text, str) and not password_problem(text) else None

    def _write(self, present: Mapping[str, Any], after: Mapping[str, Any], password: Secret | None) -> bool:
        """Writes password and configuration, and says whether there was another password before."""
        require_acceptable(self._file, after)
        password = password or self._waiting_password(present)
        previous = ""
        if password is not None:
            previous = write_secret("password", self._password_file, password.reveal())
            self._say(f"password       {self._password_file}, which only root can read")
        if dict(after) != dict(present):
            write_document(self._file, after, group_id(service_user()))
        self._say(f"configuration  {self._file}")
        return password is not None and previous not in {"", password.reveal()}

    def _install_gateway(self, may_download: Callable[[], bool], option: str = "") -> int:
        if self._commands.succeeds("gateway", "info"):
            return 0
        if not may_download():
            raise ConfigError(
                "IBKR's gateway is not installed",
                hint=f"sudo ibkr-tools setup{option} --download-gateway, or "
                f"{INSTALL_SERVICES}{option} --gateway clientportal.gw.zip.",
            )
        return self._commands.run("gateway", "install", "--download") or self._commands.run("gateway", "prepare")

    def _call_systemd(self, change: Change, state: SystemdState, *, start: bool, simulator: bool = False) -> None:
        for arguments in systemctl_calls(change, state, start=start, simulator=simulator):
            if arguments[0] in {"start", "restart"}:
                self._say(f"{arguments[0] + 'ing':<15}{arguments[-1]}")
            self._units.call(*arguments)

    def _start(self, change: Change, state: SystemdState, *, simulator: bool = False) -> int:
        self._call_systemd(change, state, start=True, simulator=simulator)
        fetch = ("fetch", "--table", "--wait", str(SESSION_WAIT_S), "--most", str(SHOWN_POSITIONS))
        code = self._commands.run("login") or self._commands.run(*fetch)
        if code:
            self._say(f"next: {next_step(code)}")
        return code
