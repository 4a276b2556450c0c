"""One-time passwords of a second factor: from an authenticator app's secret, or from a command of the user's own.

Nothing here knows the page. Codes are secrets as passwords are: they are typed, and otherwise never shown.
"""

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from ibkr_tools import executables, files, secret_text, user_command
from ibkr_tools.config.schema import Config
from ibkr_tools.config.secrets import Secret, SecretSource, read_totp_secret
from ibkr_tools.errors import ActionRequired, ConfigError, OutputError
from ibkr_tools.login.totp_secret import MIN_CODE_VALIDITY_S, parse_totp

NEW_CODE_DELAY_S = 1.0
"""IBKR's clock is known to the second only, so a new code waits this long."""

MAX_CLOCK_CORRECTION_STEPS = 4
"""A used step so many steps ahead comes from a clock that was since corrected; one further ahead from a wrong one."""

_MAX_FILE_BYTES = 100_000

USED_STEPS_KEPT = 20
"""How many used steps are remembered."""

CLOCK_WARNING_S = 10.0
CLOCK_ERROR_S = 300.0
"""From which difference between our clock and IBKR's on there is a warning, and from which on neither is believed."""

MAX_COMMAND_BYTES = 49_152
"""As JSON: a login in a network of its own hands the command on in one message."""


class NoCode(ActionRequired):
    """There is no code to send; the message says why."""


@dataclass(frozen=True, kw_only=True)
class CodeRequest:
    """What IBKR asks for.

    `factor` is IBKR's name of the block (silver, gold, bronze, temp), `challenge` the text that the answer depends
    on, `asked_at` when it was asked (seconds since the epoch), `attempt` counts from 1.
    """

    factor: str
    asked_at: float
    challenge: str = ""
    attempt: int = 1


class CodeSource(Protocol):
    """Gives codes."""

    @property
    def timeout_s(self) -> float:
        """How long giving one may take."""

    def wait_s(self, now: float) -> float:
        """How many seconds to wait at `now` (of IBKR's clock, since the epoch) before a code may be asked for."""

    def get_code(self, now: float, request: CodeRequest) -> Secret:
        """Gives a code that was never given before. Raises NoCode, and OutputError when the disk is full."""


def require_second_factor(config: Config, secrets: SecretSource) -> None:
    """Returns if the configured method has what it needs, before anything is submitted.

    Raises:
        ConfigError: its secret is missing or none, or its command cannot be started.
    """
    second = config.login.second_factor
    if second.method == "command":
        _require_command(second.command)
    if second.method == "totp":
        parse_totp(secrets.totp())


def _require_command(command: tuple[str, ...]) -> None:
    if not command:
        raise ConfigError("login.second_factor.command: it is empty")
    if (size := len(msgspec.json.encode(command))) > MAX_COMMAND_BYTES:
        raise ConfigError(f"login.second_factor.command: {size} bytes; {MAX_COMMAND_BYTES} are the most")
    if objection := executables.command_problem(command):
        raise ConfigError(f"login.second_factor.command: {objection}")


def check_second_factor(config: Config, config_file: Path) -> str | None:
    """Says what is worth saying about what the configured method needs, None if nothing is.

    Raises:
        ConfigError: it is missing, cannot be read, or is not what it should be.
    """
    second = config.login.second_factor
    if second.method == "command":
        _require_command(second.command)
    if second.method != "totp":
        return None
    kept = config_file.with_name("totp")
    if not second.totp_file and kept.exists() and not os.access(kept, os.R_OK):
        return f"only root can check the authenticator's secret in {kept}"
    parse_totp(read_totp_secret(config_file, config, {}))
    return "the authenticator's secret is fine"


TOTP_SCHEMA = 1
"""The schema of the file of used time steps."""


class _UsedSteps(msgspec.Struct, frozen=True, kw_only=True):
    """The file: time steps whose codes were sent, or were about to be."""

    steps: tuple[int, ...] = ()
    schema: int = TOTP_SCHEMA


class TotpCodes:
    """Codes of an authenticator app (RFC 6238). No code is given twice, whatever clocks, crashes and reboots do.

    `directory` keeps which time steps were used; each is on disk before its code is given. Where that file is damaged,
    or is gone though there was one, the present step counts as used.
    """

    def __init__(self, secret: Secret, directory: Path) -> None:
        self._totp = parse_totp(secret)
        self._path = directory / "totp.json"
        self._lock_file = self._path.with_suffix(".lock")
        # It is made before the first step is written.
        self._may_be_lost = self._lock_file.exists()

    @property
    def timeout_s(self) -> float:
        """One is there at once."""
        return 0.0

    def _read_used(self, now: float) -> tuple[int, ...]:
        try:
            noted = msgspec.json.decode(files.read_regular(self._path, _MAX_FILE_BYTES), type=_UsedSteps)
            if noted.schema == TOTP_SCHEMA:
                return noted.steps
        except FileNotFoundError:
            if not self._may_be_lost:
                # From now on one that is missing is a lost one.
                self._write_used(())
                return ()
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        # Nobody knows what was used: at worst the present step.
        used = (int(now // self._totp.interval),)
        self._write_used(used)
        return used

    def _write_used(self, steps: tuple[int, ...]) -> None:
        files.write_atomically(self._path, msgspec.json.encode(_UsedSteps(steps=steps)) + b"\n", mode=0o600)
        files.sync_directory(self._path.parent)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        try:
            with files.locked(self._lock_file, mode=0o600):
                yield
        except OSError as error:
            raise OutputError(f"{self._path}: {error.strerror}: no code is sent without a note") from error

    def _next_step(self, now: float, used: Sequence[int]) -> int:
        """Returns the first step that is valid for long enough, not before `now`, and unused."""
        interval = self._totp.interval
        step = int(now // interval)
        if (step + 1) * interval - now < MIN_CODE_VALIDITY_S:
            step += 1
        # IBKR accepts no step before the last one it has seen.
        while near := [used_step for used_step in used if step <= used_step <= step + MAX_CLOCK_CORRECTION_STEPS]:
            step = max(near) + 1
        return step

    def wait_s(self, now: float) -> float:
        """How long to wait at `now`: less than `MIN_CODE_VALIDITY_S` is left, or the present code was used."""
        with self._lock():
            step = self._next_step(now, self._read_used(now))
        return max(0.0, step * self._totp.interval + NEW_CODE_DELAY_S - now)

    def get_code(self, now: float, request: CodeRequest) -> Secret:  # noqa: ARG002
        """Gives the code of `now`, recorded as used before; only when there is nothing to wait for."""
        with self._lock():
            used = self._read_used(now)
            step = self._next_step(now, used)
            if step * self._totp.interval > now:
                raise NoCode("the authenticator's present code was used before")
            self._write_used((*used, step)[-USED_STEPS_KEPT:])
        return Secret(self._totp.generate_otp(step))


def time_at_ibkr(offset_s: float | None) -> float:
    """Returns the time on IBKR's clock, which is `offset_s` ahead of ours; None: not known, so ours.

    Raises:
        NoCode: the two are so far apart that one of them means nothing.
    """
    offset = offset_s or 0.0
    if abs(offset) >= CLOCK_ERROR_S:
        raise NoCode(f"{describe_clock_offset(offset)}; no code is sent", hint="Set this machine's clock: timedatectl")
    return time.time() + offset


def describe_clock_offset(offset_s: float | None) -> str:
    """Says in words what is wrong with this machine's clock; empty if nothing is, or nobody knows."""
    if offset_s is None or abs(offset_s) <= CLOCK_WARNING_S:
        return ""
    side = "behind" if offset_s > 0 else "ahead of"
    return f"this machine's clock is {abs(offset_s):.0f} s {side} IBKR's"


_DIGITS = re.compile(r"[0-9]{4,10}")
_MIXED = re.compile(r"[A-Z0-9]{4,16}")
"""Codes of the security code card and temporary passcodes have letters, upper case only."""

_BLANKS = re.compile(r"[ \t\xa0\u2000-\u200a\u202f\u205f\u3000]")
_LINE_ENDS = re.compile(r"\r\n|\n|\r")


def find_code(text: str, factor: str) -> str | None:
    """Returns the first line that is nothing but a code; blanks within it are dropped."""
    pattern = _pattern(factor)
    lines = (_BLANKS.sub("", line) for line in _LINE_ENDS.split(text))
    return next((line for line in lines if pattern.fullmatch(line)), None)


def _pattern(factor: str) -> re.Pattern[str]:
    return _DIGITS if factor in ("silver", "gold") else _MIXED


def explain_missing_code(text: str, factor: str) -> str | None:
    """Returns what keeps a line from being a code that looks like one; None if no line does. It shows no code."""
    for number, line in enumerate(_LINE_ENDS.split(text), 1):
        if (unseen := secret_text.first_invisible(line)) and find_code(secret_text.strip_invisible(line), factor):
            return f"line {number} has {unseen} beside a code"
        if re.fullmatch(r"\d{4,10}", _BLANKS.sub("", line)):
            return f"line {number} has digits that are not 0 to 9"
    return None


class CommandCodes:
    """Codes that a program of the user's own prints; it gets no shell, little environment and no secrets.

    It is told what is asked: `IBKR_TOOLS_FACTOR`, `IBKR_TOOLS_CHALLENGE`, `IBKR_TOOLS_ATTEMPT`, and with
    `IBKR_TOOLS_ASKED_AT` from when on a message with a code is the right one.
    """

    def __init__(
        self,
        command: Sequence[str],
        timeout_s: float,
        environ: Mapping[str, str] | None = None,
        *,
        spawn: user_command.Spawn = user_command.spawn_locally,
    ) -> None:
        self._command = list(command)
        self._spawn = spawn
        self._timeout_s = timeout_s
        self._environ = os.environ if environ is None else environ
        self._codes_given: set[str] = set()

    @property
    def timeout_s(self) -> float:
        """How long one code may take."""
        return self._timeout_s

    def wait_s(self, now: float) -> float:  # noqa: ARG002
        """Nothing to wait for: the command itself waits for what it needs."""
        return 0.0

    def get_code(self, now: float, request: CodeRequest) -> Secret:  # noqa: ARG002
        """Runs the command; whatever it has started has ended when this returns."""
        output = self._run(request)
        code = find_code(output, request.factor)
        if code is None:
            explanation = explain_missing_code(output, request.factor)
            raise NoCode(f"{self._command[0]} printed no code{f': {explanation}' if explanation else ''}")
        if code in self._codes_given:
            raise NoCode(f"{self._command[0]} printed the same code again")
        self._codes_given.add(code)
        return Secret(code)

    def _run(self, request: CodeRequest) -> str:
        name = self._command[0]
        environment = {
            **{key: self._environ[key] for key in ("HOME", "LANG", "PATH", "TZ") if key in self._environ},
            "IBKR_TOOLS_FACTOR": request.factor,
            "IBKR_TOOLS_CHALLENGE": request.challenge,
            "IBKR_TOOLS_ATTEMPT": str(request.attempt),
            "IBKR_TOOLS_ASKED_AT": str(int(request.asked_at)),
        }
        try:
            result = user_command.run_user_command(self._command, environment, self._timeout_s, spawn=self._spawn)
        except OSError as error:
            raise NoCode(f"{name}: {error.strerror}") from None
        if result.has_printed_too_much:
            raise NoCode(f"{name} printed more than {user_command.MAX_OUTPUT_BYTES // 1024} kB, which is no code")
        if result.exit_status is None:
            raise NoCode(f"{name} gave no code within {self._timeout_s:.0f} s")
        text = result.output.decode(errors="replace")
        if result.exit_status:
            complaint = user_command.last_line(
                _without_codes(result.error_output.decode(errors="replace"), find_code(text, request.factor))
            )
            how = user_command.describe_end(result.exit_status)
            raise NoCode(f"{name} {how}{f': {complaint}' if complaint else ''}")
        return text


def _without_codes(text: str, code: str | None) -> str:
    """Returns `text` without anything that may be a code."""
    return re.sub(r"\d{4,}", "…", text.replace(code, "…") if code else text)
