"""`ibkr-tools up`: what systemd does with our units, under one terminal, for machines without systemd.

It starts gateway and watchdog, a login whenever the watchdog asks for one, the delivery whenever there are messages,
restarts what ends, and takes everything down with it. It decides nothing about the session.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from loguru import logger

from ibkr_tools import files
from ibkr_tools.directories import Directories
from ibkr_tools.errors import ConfigError, OutputError
from ibkr_tools.gateway.child import Waiter

RESTART_S = (1.0, 2.0, 5.0, 10.0, 30.0)
STEADY_S = 60.0
"""A program that ran this long starts with a clean record."""

_STEP_S = 0.02
"""How often it is looked whether what was killed is gone."""

PATIENCE_S = 15.0
"""From SIGTERM to SIGKILL: the gateway gives Java 8 s, a call of the watchdog may hang for 11 s."""

_PR_SET_CHILD_SUBREAPER = 36

FATAL = frozenset({2, ConfigError.exit_code})
"""Codes that another start does not mend; systemd's units have the same list."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """One of our processes: it runs for ever, or once whenever there is a file that asks for it.

    `on_request` is the path of that file; its last part may be a pattern, as in a path unit's PathExistsGlob=.
    """

    name: str
    command: tuple[str, ...]
    on_request: Path | None = None

    @property
    def is_asked_for(self) -> bool:
        """Says whether a file asks for it now."""
        return self.on_request is not None and any(self.on_request.parent.glob(self.on_request.name))


def programs(options: Sequence[str], directories: Directories, *, verbose: bool) -> tuple[Program, ...]:
    """Returns the processes of the units, told to use `directories` by `options`."""
    # Isolated, as in the units: neither the current directory nor PYTHONPATH is a source of modules.
    python = (sys.executable, "-I", "-m")
    loud = ("--verbose",) if verbose else ()
    return (
        Program(name="gateway", command=(*python, "ibkr_tools.gateway", *options)),
        Program(name="watchdog", command=(*python, "ibkr_tools.watchdog", *options, *loud)),
        Program(
            name="login",
            command=(*python, "ibkr_tools", *options, *loud, "login", "--unattended"),
            on_request=directories.login_request,
        ),
        Program(
            name="notify",
            command=(*python, "ibkr_tools", *options, *loud, "notify", "--unattended"),
            # Not the scrap of a writer, which begins with a dot.
            on_request=directories.outbox / "[!.]*.json",
        ),
    )


def with_simulator(given: Sequence[Program], options: Sequence[str], arguments: Sequence[str]) -> tuple[Program, ...]:
    """Returns the same processes with the simulator in the gateway's place, started with `arguments`."""
    command = (sys.executable, "-I", "-m", "ibkr_tools", *options, "simulate", "--as-gateway", *arguments)
    return tuple(replace(one, command=command) if one.name == "gateway" else one for one in given)


class _Running:
    """One program and its present process, if any."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self.pidfd = -1
        self.started_s = 0.0
        self.start_at_s: float | None = 0.0 if program.on_request is None else None
        self.not_before_s = 0.0
        self.failures = 0

    def start(self, waiter: Waiter) -> None:
        """Starts it in a process group of its own, so that Ctrl-C reaches only us, and its end wakes us."""
        self.process = subprocess.Popen(self.program.command, stdin=subprocess.DEVNULL, start_new_session=True)
        self.pidfd = os.pidfd_open(self.process.pid)
        self.started_s = waiter.now()
        self.start_at_s = None
        waiter.watch(self.pidfd)

    def reap(self, waiter: Waiter) -> int | None:
        """Returns the exit code if it has just ended; whatever it left behind in its group is ended too."""
        if self.process is None or (code := self.process.poll()) is None:
            return None
        self.signal(signal.SIGKILL)
        waiter.unwatch(self.pidfd)
        os.close(self.pidfd)
        self.process = None
        return code

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to its whole group."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)


class Supervisor:
    """Runs the programs until SIGTERM, Ctrl-C, or an end that no restart mends."""

    def __init__(self, given: Sequence[Program], directories: Directories) -> None:
        self._running = [_Running(program) for program in given]
        self._directories = directories
        self._code = 0
        self._inherited: frozenset[int] = frozenset()

    def run(self) -> int:
        """Returns 0 after Ctrl-C or SIGTERM, else the exit code that ended it all. No process is left.

        Raises:
            OutputError: a directory cannot be made.
        """
        try:
            files.make_directory(self._directories.runtime, mode=0o700)
            files.make_directory(self._directories.state, mode=0o700)
        except OSError as error:
            raise OutputError(f"{error.filename}: {error.strerror}") from error
        if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
            # The terminal was closed: without a word from us the programs, in groups of their own, would live on.
            signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
        # A browser has a session of its own: it is no longer a login's once that was killed, but it comes to us.
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._inherited = frozenset(_children())
        with Waiter(str(self._directories.runtime)) as waiter:
            try:
                while not waiter.stop_asked and not self._code:
                    self._start_due(waiter)
                    waiter.wait(self._until_next_start(waiter))
                    self._reap(waiter)
                    self._end_orphans()
                    self._reap_orphans()
            finally:
                self._end_all(waiter)
                deadline_s = waiter.now() + PATIENCE_S
                while self._end_orphans() and waiter.now() < deadline_s:
                    self._reap_orphans()
                    waiter.wait(_STEP_S)
        return self._code

    def _start_due(self, waiter: Waiter) -> None:
        for one in self._running:
            if one.process is not None:
                continue
            due = one.start_at_s is not None and waiter.now() >= one.start_at_s
            if due or (waiter.now() >= one.not_before_s and one.program.is_asked_for):
                one.start(waiter)

    def _until_next_start(self, waiter: Waiter) -> float:
        # Where the kernel cannot tell of a new file, a request waits for a second at the most.
        starts = [one.start_at_s - waiter.now() for one in self._running if one.start_at_s is not None]
        return max(0.0, min([1.0, *starts]))

    def _reap(self, waiter: Waiter) -> None:
        for one in self._running:
            lived_s = waiter.now() - one.started_s
            code = one.reap(waiter)
            if code is None:
                continue
            if one.program.on_request is not None:
                # One that ends and leaves its request behind would be started again at once, for ever.
                one.failures = one.failures + 1 if one.program.is_asked_for else 0
                one.not_before_s = waiter.now() + (_pause_s(one.failures) if one.failures else 0.0)
                continue
            if code in FATAL:
                self._code = code
                continue
            one.failures = 0 if lived_s > STEADY_S else one.failures + 1
            pause_s = _pause_s(one.failures)
            one.start_at_s = waiter.now() + pause_s
            logger.warning("{} ended ({}); it starts again in {:g} s", one.program.name, _words(code), pause_s)

    def _end_orphans(self) -> bool:
        """Ends what a program of ours has left behind in a session of its own; says whether there was anything.

        As systemd does with the rest of a unit. Left alone is what was there before us, or belongs to our own session:
        who has started us may have more children.
        """
        own = {one.process.pid for one in self._running if one.process is not None}
        kept = {0, os.getsid(0), *own}
        found = [pid for pid in _children() if pid not in own | self._inherited and _session(pid) not in kept]
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        return bool(found)

    def _reap_orphans(self) -> None:
        """Lets processes go that have ended and are ours by inheritance: process 1 of a container gets every orphan."""
        own = {one.process.pid for one in self._running if one.process is not None}
        # Looked at first, without reaping: how a program of ours has ended is for `_reap`.
        while (ended := _ended_child()) is not None and ended not in own:
            with suppress(ChildProcessError):
                os.waitpid(ended, os.WNOHANG)

    def _end_all(self, waiter: Waiter) -> None:
        """Ends the last started first: a watchdog that outlives the gateway would only complain."""
        for one in reversed(self._running):
            one.signal(signal.SIGTERM)
        deadline_s = waiter.now() + PATIENCE_S
        while any(one.process is not None for one in self._running):
            if waiter.now() >= deadline_s:
                for one in self._running:
                    one.signal(signal.SIGKILL)
                deadline_s = waiter.now() + PATIENCE_S
            waiter.wait(max(0.0, deadline_s - waiter.now()))
            for one in self._running:
                one.reap(waiter)


def _children() -> list[int]:
    """Returns the children of this process; none where the kernel does not tell."""
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except OSError:
        return []


def _session(pid: int) -> int:
    """Returns the session of a process; 0 for one that is gone."""
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def _ended_child() -> int | None:
    """Returns a child that has ended and waits to be reaped, None without one."""
    try:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return None if ended is None else ended.si_pid


def _pause_s(failures: int) -> float:
    return RESTART_S[min(max(failures, 1), len(RESTART_S)) - 1]


def _words(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
