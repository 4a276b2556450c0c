"""The thin parent of the Java program: starts it, says whether it answers locally, ends it, ends with it.

It never looks at the session or at IBKR: a restart of Java throws a session away, so only local silence justifies one.
Resident below 26 MB: what only the preparation of a start needs is not imported here, and neither is loguru (5 MB, most
of it asyncio); `log.write` writes the few lines of this process as loguru's sink would.
"""

import os
import signal
import sys
from typing import NamedTuple

from ibkr_tools import entrypoint, files, log
from ibkr_tools.child_process import ChildProcess, describe_exit
from ibkr_tools.errors import GatewayUnavailable
from ibkr_tools.event_loop import EventLoop
from ibkr_tools.gateway.filter_probe import FilterPolicy, exposure_warning, is_filtered
from ibkr_tools.gateway.launch_plan import LaunchPlan, java_environment, parse_arguments
from ibkr_tools.gateway.liveness_probe import answers_locally
from ibkr_tools.process_control import die_with_parent
from ibkr_tools.sd_notify import SystemdNotifier
from ibkr_tools.status import GatewaySection, GatewayState, StatusFile, utc_now


class ParentTimings(NamedTuple):
    """How long the parent waits for what; seconds.

    `probe_interval_s` from one probe to the next; `probe_timeout_s` for one answer; `start_timeout_s` from Java's start
    to its first answer (less than the unit's TimeoutStartSec=, so that the reason is ours);
    `silence_timeout_s` without an answer until the parent gives up by itself, where no systemd watchdog does (after the
    WatchdogSec= of the unit, the same);
    `unfiltered_timeout_s` without a packet filter that is required (it may be being loaded anew);
    `stop_timeout_s` from SIGTERM to SIGKILL, `hung_stop_timeout_s` the same for a Java that does not answer;
    `late_signal_s` from a Java that SIGTERM has ended to our own SIGTERM, where both were stopped at once.
    """

    probe_interval_s: float = 2.0
    probe_timeout_s: float = 1.5
    start_timeout_s: float = 50.0
    silence_timeout_s: float = 15.0
    unfiltered_timeout_s: float = 8.0
    stop_timeout_s: float = 8.0
    hung_stop_timeout_s: float = 1.0
    late_signal_s: float = 1.0


# While Java starts: a refused connection costs microseconds, and every wait here is a wait of the first login.
_START_PROBE_INTERVAL_S = 0.02

# ExitOnOutOfMemoryError ends the JVM with this status. Source: HotSpot, debug.cpp.
_OUT_OF_MEMORY_STATUS = 3

# A shell whose program was ended by a signal ends with this and the signal's number.
_SHELL_SIGNAL = 128


class Parent:
    """One run of the gateway, from Java's start to its end.

    Args:
        plan: what to run, and where.
        notifier: systemd's socket, or silence.
        timings: for tests.
    """

    def __init__(self, plan: LaunchPlan, notifier: SystemdNotifier, timings: ParentTimings | None = None) -> None:
        self._plan = plan
        self._notifier = notifier
        self._timings = timings or ParentTimings()
        interval = notifier.watchdog_interval
        self._probe_interval_s = (
            min(self._timings.probe_interval_s, interval.total_seconds() / 3)
            if interval
            else self._timings.probe_interval_s
        )
        self._address = f"127.0.0.1:{plan.port}"
        self._state: GatewayState = "starting"
        self._since = utc_now()
        self._status_file = StatusFile(plan.directories.status_file)
        self._java_pid: int | None = None
        self._filtered: bool | None = None
        self._filtered_s = 0.0
        self._status_broken = False

    def _write_status(self, state: GatewayState, text: str | None = None) -> None:
        """Writes our section of the status file, and `text` to systemd."""
        now = utc_now()
        if state != self._state:
            self._since = now
        self._state = state
        if text is not None:
            self._notifier.status(text)
        fresh_for_s = (
            self._timings.start_timeout_s
            if state == "starting"
            else 3 * self._probe_interval_s + self._timings.probe_timeout_s
        )
        section = GatewaySection(
            updated_at=now,
            fresh_for_s=None if state == "stopped" else fresh_for_s,
            pid=os.getpid(),
            state=state,
            since=self._since,
            port=self._plan.port,
            upstream=self._plan.upstream,
            java_pid=self._java_pid,
            build=self._plan.build,
            filtered=self._filtered,
        )
        try:
            self._status_file.write(section)
        except OSError as error:
            # A status that nobody can read is no reason to end a gateway that works.
            if not self._status_broken:
                log.write("WARNING", f"Status file not written: {error.strerror}")
            self._status_broken = True
        else:
            self._status_broken = False

    def run(self) -> int:
        """Runs Java until it ends, and returns the exit status: 0 if we ended it on request, 1 if it ended by itself.

        Raises:
            GatewayUnavailable: Java did not start, did not answer in time after its start, or stopped answering; it is
                ended then.
        """
        with EventLoop(str(self._plan.directories.runtime)) as event_loop:
            try:
                try:
                    return self._run_java(self._plan.command, event_loop)
                except _CrashedAtStartError as crash:
                    log.write("WARNING", f"Java crashed: {crash}; it starts again, without its class archive")
                    return self._run_java(self._plan.command_without_archive, event_loop)
            finally:
                self._java_pid = None
                self._write_status("stopped", "Stopped")

    def _run_java(self, command: tuple[str, ...], event_loop: EventLoop) -> int:
        child = self._start_java(command, event_loop)
        self._java_pid = child.pid
        self._write_status("starting", "Java is starting")
        try:
            return self._supervise(child, event_loop, has_archive=command != self._plan.command_without_archive)
        finally:
            child.stop(
                self._timings.hung_stop_timeout_s if self._state == "unresponsive" else self._timings.stop_timeout_s
            )

    def _start_java(self, command: tuple[str, ...], event_loop: EventLoop) -> ChildProcess:
        plan, own_pid = self._plan, os.getpid()
        try:
            return ChildProcess(
                command,
                event_loop,
                cwd=plan.home,
                env=java_environment(os.environ, plan.home),
                # This process has one thread.
                preexec_fn=lambda: die_with_parent(own_pid),
            )
        except OSError as error:
            raise GatewayUnavailable(f"Java does not start: {command[0]}: {error.strerror}") from error

    def _supervise(self, child: ChildProcess, event_loop: EventLoop, *, has_archive: bool) -> int:
        started = last_answer = next_probe = event_loop.now()
        while True:
            event_loop.wait(next_probe - event_loop.now())
            if (status := child.exit_status) is not None:
                if has_archive and self._state == "starting" and _is_crash(status) and not event_loop.stop_requested:
                    raise _CrashedAtStartError(describe_exit(status))
                # From here on a wait would be over at once: it is the child's end that it tells of.
                child.close()
                return self._exit_status_after(status, event_loop)
            if reason := self._stop_reason(event_loop):
                self._notifier.stopping()
                log.write("INFO", f"Ending Java: {reason}")
                return 0
            if event_loop.now() < next_probe:
                # Some other file in the runtime directory, often our own status.
                continue
            if answers_locally(self._plan.port, self._plan.directories.certificate, self._timings.probe_timeout_s):
                self._check_filter(event_loop.now())
                self._on_answer(event_loop.now() - started)
                last_answer = event_loop.now()
            elif self._state == "starting":
                if event_loop.now() - started > self._timings.start_timeout_s:
                    raise GatewayUnavailable(
                        f"Java did not answer on {self._address} within {self._timings.start_timeout_s:.0f} s; "
                        "ended it",
                        hint="Its own lines in the journal, before this one, say why.",
                    )
            else:
                self._on_silence(event_loop.now() - last_answer)
            next_probe = event_loop.now() + (
                _START_PROBE_INTERVAL_S if self._state == "starting" else self._probe_interval_s
            )

    def _check_filter(self, now_s: float) -> None:
        """Looks whether the packet filter still guards the port.

        Raises:
            GatewayUnavailable: it has not for a while, and must; the next start waits for it.
        """
        if self._plan.filter_policy is FilterPolicy.OTHER:
            return
        before, self._filtered = self._filtered, is_filtered(self._plan.port)
        if self._filtered is not False or before is None:
            self._filtered_s = now_s
        if before and self._filtered is False:
            log.write("WARNING", exposure_warning(self._plan.port))
        is_required = self._plan.filter_policy is FilterPolicy.REQUIRED
        if is_required and now_s - self._filtered_s > self._timings.unfiltered_timeout_s:
            raise GatewayUnavailable(f"no packet filter has guarded port {self._plan.port} any more; ended Java")

    def _on_answer(self, after_s: float) -> None:
        text = f"Answers on {self._address}, IBKR's build {self._plan.build}"
        if self._state == "up":
            self._write_status("up")
        elif self._state == "starting":
            log.write("INFO", f"{text}; {after_s:.1f} s after Java's start")
            self._write_status("up", text)
            self._notifier.ready()
        else:
            log.write("INFO", "Answers again")
            self._write_status("up", text)
        self._notifier.watchdog()

    def _on_silence(self, for_s: float) -> None:
        """Says so, and pings nobody; without systemd's watchdog, gives up after a while."""
        if self._state == "up":
            log.write("WARNING", f"No answer on {self._address}; if it stays so, Java is restarted")
            self._write_status("unresponsive", "Java does not answer locally")
        else:
            self._write_status("unresponsive")
        if self._notifier.watchdog_interval is None and for_s > self._timings.silence_timeout_s:
            raise GatewayUnavailable(f"Java has not answered for {for_s:.0f} s; ended it")

    def _stop_reason(self, event_loop: EventLoop) -> str | None:
        if event_loop.stop_requested:
            return "asked to stop"
        return "a restart was asked for" if files.remove(self._plan.directories.restart_request) else None

    def _exit_status_after(self, java_status: int, event_loop: EventLoop) -> int:
        """Tells how Java ended. systemd ends all of a unit's processes at once: our own signal can be a moment late."""
        if java_status in (-signal.SIGTERM, _SHELL_SIGNAL + signal.SIGTERM):
            deadline_s = event_loop.now() + self._timings.late_signal_s
            while not event_loop.stop_requested and (left_s := deadline_s - event_loop.now()) > 0:
                event_loop.wait(left_s)
        if event_loop.stop_requested:
            return 0
        log.write("ERROR", f"Java ended: {_describe_end(java_status)}")
        return 1


class _CrashedAtStartError(Exception):
    """Java was ended by a signal before its first answer, and had a class archive, which may be the reason."""


def _is_crash(status: int) -> bool:
    """Says whether a signal ended Java that nobody sends to stop it; a script around Java tells it as a shell does."""
    number = status - _SHELL_SIGNAL if status > _SHELL_SIGNAL else -status
    return number > 0 and number not in (signal.SIGTERM, signal.SIGINT)


def _describe_end(status: int) -> str:
    how = describe_exit(status)
    return f"{how}, out of memory: raise gateway.heap_mb" if status == _OUT_OF_MEMORY_STATUS else how


def main() -> int:
    """Runs the plan of the command line, and returns the exit status.

    Raises:
        GatewayUnavailable: as `Parent.run`.
    """
    return Parent(parse_arguments(sys.argv[1:]), SystemdNotifier()).run()


if __name__ == "__main__":
    sys.exit(entrypoint.run(main))
