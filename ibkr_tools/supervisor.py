"""`ibkr-tools up`: what systemd does with our units, under one terminal, for machines without systemd.

It starts gateway and watchdog, a login or a snapshot whenever the watchdog asks for one, the delivery whenever there
are alerts, restarts what ends, reports a login that could not report its end, and takes everything down with it. It
decides nothing about the session.
"""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from loguru import logger

from ibkr_tools import files
from ibkr_tools.child_process import ChildProcess, describe_exit
from ibkr_tools.control_group import Shortages, read_shortages
from ibkr_tools.directories import Directories
from ibkr_tools.errors import ConfigError, OutputError
from ibkr_tools.event_loop import EventLoop
from ibkr_tools.login.post_stop import record_abnormal_exit
from ibkr_tools.process_control import become_subreaper
from ibkr_tools.service_result import process_end
from ibkr_tools.services import SERVICES
from ibkr_tools.status import StatusFile

RESTART_BACKOFF_S = (1.0, 2.0, 5.0, 10.0, 30.0)
STABLE_AFTER_S = 60.0
"""A program that ran this long starts with a clean record."""

_ORPHAN_POLL_S = 0.02
"""How often it is looked whether what was killed is gone."""

STOP_TIMEOUT_S = 25.0
"""From SIGTERM to SIGKILL: the longest TimeoutStopSec= of the units that it stands for."""

FATAL_EXIT_CODES = frozenset({2, ConfigError.exit_code})
"""Codes that another start does not mend; systemd's units have the same list."""


@dataclass(frozen=True, kw_only=True)
class ProcessEnd:
    """How a process has ended: `status` is negative for a signal; `shortages` are those of before it was started."""

    pid: int
    status: int
    shortages: Shortages


def report_login_end(status_file: StatusFile, end: ProcessEnd) -> None:
    """Reports a login that has not done so itself, as ibkr-login.service does when it has ended."""
    now = read_shortages()
    is_short = (now.oom_kills, now.machine_oom_kills) > (end.shortages.oom_kills, end.shortages.machine_oom_kills)
    environ = process_end(end.status, out_of_memory=is_short and end.status == -signal.SIGKILL)
    try:
        why = record_abnormal_exit(status_file, environ, now, pid=end.pid)
    except OSError as error:
        logger.warning("{}: {}; the watchdog learns late that the login ended", status_file.path, error.strerror)
        return
    if why:
        logger.warning(why)


@dataclass(frozen=True, kw_only=True)
class Program:
    """One of our processes: it runs for ever, or once whenever there is a file that asks for it.

    `on_request` is the path of that file; its last part may be a pattern, as in a path unit's PathExistsGlob=.
    `on_end`: what is done when a process of it has ended, as a unit's ExecStopPost= is.
    """

    name: str
    command: tuple[str, ...]
    on_request: Path | None = None
    on_end: "Callable[[ProcessEnd], None] | None" = None

    @property
    def is_requested(self) -> bool:
        """Says whether a file asks for it now."""
        return self.on_request is not None and any(self.on_request.parent.glob(self.on_request.name))


def programs(options: Sequence[str], directories: Directories, *, verbose: bool) -> tuple[Program, ...]:
    """Returns the processes of `services.SERVICES`, told to use `directories` by `options`."""
    # Isolated, as in the units: neither the current directory nor PYTHONPATH is a source of modules.
    python = (sys.executable, "-I", "-m")
    loud = ("--verbose",) if verbose else ()
    report_end = {"login": partial(report_login_end, StatusFile(directories.status_file))}
    return tuple(
        Program(
            name=service.name,
            command=(*python, service.module, *options, *(loud if service.takes_verbose else ()), *service.arguments),
            on_request=service.request(directories) if service.request else None,
            on_end=report_end.get(service.name),
        )
        for service in SERVICES
    )


def with_simulator(
    programs: Sequence[Program], options: Sequence[str], arguments: Sequence[str]
) -> tuple[Program, ...]:
    """Returns the same processes with the simulator in the gateway's place, started with `arguments`."""
    command = (sys.executable, "-I", "-m", "ibkr_tools", *options, "simulate", "--as-gateway", *arguments)
    return tuple(replace(program, command=command) if program.name == "gateway" else program for program in programs)


class _SupervisedProgram:
    """One program and its present process, if any."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.process: ChildProcess | None = None
        self.started_s = 0.0
        self.start_at_s: float | None = 0.0 if program.on_request is None else None
        self.not_before_s = 0.0
        self.failures = 0
        self._shortages = Shortages()

    def start(self, event_loop: EventLoop) -> None:
        """Starts the program's process."""
        self._shortages = read_shortages()
        self.process = ChildProcess(self.program.command, event_loop)
        self.started_s = event_loop.now()
        self.start_at_s = None

    def reap(self) -> int | None:
        """Returns the exit code if the process has just ended, and ends whatever it left behind in its group."""
        if self.process is None or (code := self.process.exit_status) is None:
            return None
        end = ProcessEnd(pid=self.process.pid, status=code, shortages=self._shortages)
        self.process.close()
        self.process = None
        if self.program.on_end is not None:
            self.program.on_end(end)
        return code

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the whole group of the process, if there is one."""
        if self.process is not None:
            self.process.signal(number)


class Supervisor:
    """Runs the programs until SIGTERM, Ctrl-C, or an end that no restart mends."""

    def __init__(self, programs: Sequence[Program], directories: Directories) -> None:
        self._running = [_SupervisedProgram(program) for program in programs]
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
        become_subreaper()
        self._inherited = frozenset(_children())
        # Its mere being there has the end of an orphan end a wait of the event loop.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with EventLoop(str(self._directories.runtime)) as event_loop:
            try:
                while not event_loop.stop_requested and not self._code:
                    self._start_due(event_loop)
                    event_loop.wait(self._until_next_start(event_loop))
                    self._reap(event_loop)
                    self._kill_orphans()
                    self._reap_orphans()
            finally:
                self._terminate_all(event_loop)
                deadline_s = event_loop.now() + STOP_TIMEOUT_S
                while self._kill_orphans() and event_loop.now() < deadline_s:
                    self._reap_orphans()
                    event_loop.wait(_ORPHAN_POLL_S)
        return self._code

    def _start_due(self, event_loop: EventLoop) -> None:
        for supervised in self._running:
            if supervised.process is not None:
                continue
            due = supervised.start_at_s is not None and event_loop.now() >= supervised.start_at_s
            if due or (event_loop.now() >= supervised.not_before_s and supervised.program.is_requested):
                supervised.start(event_loop)

    def _until_next_start(self, event_loop: EventLoop) -> float:
        # Where the kernel cannot tell of a new file, a request waits for a second at the most.
        starts = [
            supervised.start_at_s - event_loop.now()
            for supervised in self._running
            if supervised.start_at_s is not None
        ]
        return max(0.0, min([1.0, *starts]))

    def _reap(self, event_loop: EventLoop) -> None:
        for supervised in self._running:
            uptime_s = event_loop.now() - supervised.started_s
            code = supervised.reap()
            if code is None:
                continue
            if supervised.program.on_request is not None:
                # One that ends and leaves its request behind would be started again at once, for ever.
                supervised.failures = supervised.failures + 1 if supervised.program.is_requested else 0
                supervised.not_before_s = event_loop.now() + (
                    _backoff_s(supervised.failures) if supervised.failures else 0.0
                )
                continue
            if code in FATAL_EXIT_CODES:
                self._code = code
                continue
            supervised.failures = 0 if uptime_s > STABLE_AFTER_S else supervised.failures + 1
            pause_s = _backoff_s(supervised.failures)
            supervised.start_at_s = event_loop.now() + pause_s
            logger.warning(
                "{} ended ({}); it starts again in {:g} s", supervised.program.name, describe_exit(code), pause_s
            )

    def _kill_orphans(self) -> bool:
        """Ends what a program of ours has left behind in a session of its own; says whether there was anything.

        As systemd does with the rest of a unit. Left alone is what was there before us, or belongs to our own session:
        who has started us may have more children.
        """
        supervised_pids = {supervised.process.pid for supervised in self._running if supervised.process is not None}
        own_sessions = {0, os.getsid(0), *supervised_pids}
        orphans = [
            pid
            for pid in _children()
            if pid not in supervised_pids | self._inherited and _session(pid) not in own_sessions
        ]
        for pid in orphans:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        return bool(orphans)

    def _reap_orphans(self) -> None:
        """Lets processes go that have ended and are ours by inheritance: process 1 of a container gets every orphan."""
        supervised_pids = {supervised.process.pid for supervised in self._running if supervised.process is not None}
        # Looked at first, without reaping: how a program of ours has ended is for `_reap`.
        while (ended := _exited_child()) is not None and ended not in supervised_pids:
            with suppress(ChildProcessError):
                os.waitpid(ended, os.WNOHANG)

    def _terminate_all(self, event_loop: EventLoop) -> None:
        """Ends the last started first: a watchdog that outlives the gateway would only complain."""
        for supervised in reversed(self._running):
            supervised.signal(signal.SIGTERM)
        deadline_s = event_loop.now() + STOP_TIMEOUT_S
        while any(supervised.process is not None for supervised in self._running):
            if event_loop.now() >= deadline_s:
                for supervised in self._running:
                    supervised.signal(signal.SIGKILL)
                deadline_s = event_loop.now() + STOP_TIMEOUT_S
            event_loop.wait(max(0.0, deadline_s - event_loop.now()))
            for supervised in self._running:
                supervised.reap()


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


def _exited_child() -> int | None:
    """Returns a child that has ended and waits to be reaped, None without one."""
    try:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return None if ended is None else ended.si_pid


def _backoff_s(failures: int) -> float:
    return RESTART_BACKOFF_S[min(max(failures, 1), len(RESTART_BACKOFF_S)) - 1]
