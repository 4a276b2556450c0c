"""`ibkr-tools up` with small programs in the place of ours: restarts, requests, and no process left behind."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ibkr_tools import supervisor
from ibkr_tools.directories import Directories
from ibkr_tools.status import LoginSection, StatusFile, utc_now
from ibkr_tools.supervisor import programs, with_simulator
from tests.support.checkout import CHECKOUT
from tests.support.patience import within
from tests.support.processes import is_alive
from tests.support.simulation import wait_until

RUNNER = """
import signal, sys
from pathlib import Path
from functools import partial
from ibkr_tools import entrypoint, process_control, supervisor
from ibkr_tools.directories import Directories
from ibkr_tools.status import StatusFile
from ibkr_tools.supervisor import Program, Supervisor
# What process 1 of a container is by birth: the parent of every orphan below it.
process_control.become_subreaper()
# Under nohup the tests themselves ignore it.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
root = Path(sys.argv[1])
supervisor.RESTART_BACKOFF_S = (0.1, 0.2, 0.4)
supervisor.STOP_TIMEOUT_S = 1.0
directories = Directories(configuration=root, runtime=root / "run", state=root / "state")
asking = {"login": directories.login_request, "alert": directories.outbox / "[!.]*.json"}
on_end = {"login": partial(supervisor.report_login_end, StatusFile(directories.status_file))}
given = [Program(name=name, command=("/bin/sh", "-c", script), on_request=asking.get(name), on_end=on_end.get(name))
         for name, script in (pair.split("=", 1) for pair in sys.argv[2:])]
sys.exit(entrypoint.run(Supervisor(given, directories).run))
"""


class Up:
    """A supervisor as a real process."""

    def __init__(self, root: Path, environment: dict[str, str], **given: str) -> None:
        self.root = root
        pairs = [f"{name}={script}" for name, script in given.items()]
        self.process = subprocess.Popen([sys.executable, "-c", RUNNER, str(root), *pairs], env=environment)

    def lines(self, name: str) -> list[str]:
        """Returns what the programs have written into a file so far."""
        path = self.root / name
        return path.read_text().split() if path.exists() else []

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Sends the signal and returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Iterator[Callable[..., Up]]:
    """Starts supervisors; none outlives its test."""
    started: list[Up] = []

    def _start(**given: str) -> Up:
        started.append(Up(tmp_path, environment, **given))
        return started[-1]

    yield _start
    for up in started:
        if up.process.poll() is None:
            up.end(signal.SIGTERM)


LOYAL = "echo $$ >> {root}/{name}; exec sleep 60"
STUBBORN = "trap '' TERM INT; echo $$ >> {root}/{name}; while true; do sleep 60; done"
PARENT = "sleep 60 & echo $! >> {root}/{name}; echo $$ >> {root}/{name}; wait"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_end_ends_everything(start: Callable[..., Up], tmp_path: Path, number: signal.Signals) -> None:
    """Grandchildren too, and who does not listen; also when the terminal is closed."""
    up = start(
        gateway=PARENT.format(root=tmp_path, name="a"),
        watchdog=STUBBORN.format(root=tmp_path, name="b"),
        other=LOYAL.format(root=tmp_path, name="c"),
    )
    wait_until(lambda: all(len(up.lines(name)) >= want for name, want in (("a", 2), ("b", 1), ("c", 1))))
    pids = [*up.lines("a"), *up.lines("b"), *up.lines("c")]
    assert all(is_alive(pid) for pid in pids)
    assert up.end(number) == 0
    wait_until(lambda: not any(is_alive(pid) for pid in pids))


def test_what_ends_is_started_again_with_growing_pauses(start: Callable[..., Up], tmp_path: Path) -> None:
    up = start(gateway=f"date +%s.%N >> {tmp_path}/a; exit 1")
    wait_until(lambda: len(up.lines("a")) >= 4)
    times = [float(line) for line in up.lines("a")]
    assert up.end() == 0
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps[0] >= 0.1
    assert gaps[1] >= 0.2
    assert gaps[2] >= 0.4


def test_a_killed_program_leaves_nothing_and_comes_back(start: Callable[..., Up], tmp_path: Path) -> None:
    up = start(gateway=PARENT.format(root=tmp_path, name="a"))
    wait_until(lambda: len(up.lines("a")) == 2)
    child, parent = up.lines("a")
    os.kill(int(parent), signal.SIGKILL)
    wait_until(lambda: not is_alive(child))
    wait_until(lambda: len(up.lines("a")) == 4)
    assert up.end() == 0


@pytest.mark.parametrize("how", ["killed", "ended"])
def test_what_has_left_the_session_of_a_program_ends_with_it(
    start: Callable[..., Up], tmp_path: Path, how: str
) -> None:
    """As a browser that hangs would, whose login was killed; its children too. Who has started us keeps their own."""
    child = f"setsid sh -c 'echo $$ >> {tmp_path}/b; sleep 60 & echo $! >> {tmp_path}/b; wait' & "
    up = start(
        login=f"rm -f {tmp_path}/run/login.request; {child} echo $$ >> {tmp_path}/a; exec sleep 60",
        watchdog=LOYAL.format(root=tmp_path, name="c"),
    )
    wait_until((tmp_path / "run").is_dir)
    (tmp_path / "run/login.request").touch()
    wait_until(lambda: len(up.lines("b")) == 2 and len(up.lines("a")) == 1 and len(up.lines("c")) == 1)
    assert all(is_alive(pid) for pid in up.lines("b"))
    if how == "killed":
        os.kill(int(up.lines("a")[0]), signal.SIGKILL)
        wait_until(lambda: not any(is_alive(pid) for pid in up.lines("b")))
        assert is_alive(up.lines("c")[0])
    assert up.end() == 0
    assert not any(is_alive(pid) for pid in [*up.lines("a"), *up.lines("b"), *up.lines("c")])


def test_orphans_are_let_go(start: Callable[..., Up], tmp_path: Path) -> None:
    """As process 1 of a container, where nobody else reaps them; how its own programs ended it knows all the same."""
    orphans = f"for n in 1 2 3; do (sleep 0.2 & echo $! >> {tmp_path}/orphans); done"
    up = start(gateway=f"{orphans}; sleep 1; echo $$ >> {tmp_path}/gateway; exit 1", watchdog="exec sleep 60")
    wait_until(lambda: len(up.lines("gateway")) >= 2)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in up.lines("orphans")[:3]))
    assert up.end() == 0


@pytest.mark.parametrize("code", [2, 78])
def test_an_end_that_no_restart_mends_ends_all(start: Callable[..., Up], tmp_path: Path, code: int) -> None:
    up = start(
        watchdog=LOYAL.format(root=tmp_path, name="a"),
        gateway=f"while [ ! -s {tmp_path}/a ]; do sleep 0.05; done; exit {code}",
    )
    assert up.process.wait(60) == code
    (pid,) = up.lines("a")
    assert not is_alive(pid)


def test_a_login_runs_once_per_request(start: Callable[..., Up], tmp_path: Path) -> None:
    request = tmp_path / "run" / "login.request"
    up = start(
        gateway="exec sleep 60",
        login=f"rm {request}; echo $$ >> {tmp_path}/login",
    )
    wait_until(request.parent.exists)
    for number in (1, 2):
        with within(2.5):
            request.touch()
            wait_until(lambda want=number: len(up.lines("login")) == want)  # type: ignore[misc]
    assert not request.exists()
    assert up.end() == 0
    assert len(up.lines("login")) == 2


def test_a_login_that_leaves_its_request_does_not_spin(start: Callable[..., Up], tmp_path: Path) -> None:
    """A broken configuration ends it before it takes the request."""
    up = start(login=f"echo $$ >> {tmp_path}/login; exit 78")
    wait_until((tmp_path / "run").exists)
    (tmp_path / "run" / "login.request").touch()
    wait_until(lambda: len(up.lines("login")) >= 2)
    begun, before = time.monotonic(), len(up.lines("login"))
    wait_until(lambda: time.monotonic() - begun > 1.5)
    assert len(up.lines("login")) - before <= 5
    assert up.end() == 0


def running_login(pid: int) -> LoginSection:
    return LoginSection(updated_at=utc_now(), fresh_for_s=180.0, pid=pid, state="running", why="a login is under way")


@pytest.mark.parametrize("whose", ["its own", "another one"])
def test_a_login_that_was_killed_is_reported(start: Callable[..., Up], tmp_path: Path, whose: str) -> None:
    """As by ExecStopPost= of its unit; what a person's own login says stays."""
    request, status = tmp_path / "run" / "login.request", StatusFile(tmp_path / "run" / "status.json")
    up = start(login=f"rm {request}; echo $$ >> {tmp_path}/login; exec sleep 60")
    wait_until(request.parent.exists)
    request.touch()
    wait_until(lambda: len(up.lines("login")) == 1)
    pid = int(up.lines("login")[0])
    status.write(running_login(pid if whose == "its own" else os.getpid()))
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(str(pid)))
    if whose == "its own":
        wait_until(lambda: status.read_section(LoginSection).state == "failed")  # type: ignore[union-attr]
    assert up.end() == 0
    section = status.read_section(LoginSection)
    assert section is not None
    expected = ("failed", "the login was killed by SIGKILL") if whose == "its own" else ("running", section.why)
    assert (section.state, section.why) == expected


def test_each_request_has_its_own_program(start: Callable[..., Up], tmp_path: Path) -> None:
    """A message starts the delivery and nothing else; what a writer has not finished starts nothing."""
    outbox = tmp_path / "run" / "outbox"
    outbox.mkdir(parents=True)
    up = start(
        login=f"rm {tmp_path}/run/login.request; echo $$ >> {tmp_path}/login",
        # Both messages are its to take, whenever it starts.
        alert=f"until [ -e {outbox}/2.json ]; do sleep 0.05; done; rm {outbox}/*.json; echo $$ >> {tmp_path}/alert",
    )
    (outbox / ".1.json").touch()
    for number in (1, 2):
        (outbox / "1.json").touch()
        (outbox / "2.json").touch()
        wait_until(lambda want=number: len(up.lines("alert")) == want)  # type: ignore[misc]
    (tmp_path / "run" / "login.request").touch()
    wait_until(lambda: len(up.lines("login")) == 1)
    assert up.end() == 0
    assert len(up.lines("alert")) == 2


def test_directories_that_cannot_be_made_are_told(start: Callable[..., Up], tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file in the way")
    up = start(gateway="exec sleep 60")
    assert up.process.wait(60) == 73


def test_the_programs_are_told_their_directories() -> None:
    options = ["--config", "/a/config.json", "--runtime-dir", "/b", "--state-dir", "/c"]
    directories = Directories(configuration=Path("/a"), runtime=Path("/b"), state=Path("/c"))
    given = programs(options, directories, verbose=False)
    assert [one.name for one in given] == ["gateway", "watchdog", "login", "snapshot", "alert"]
    assert all(set(options) < set(one.command) for one in given)
    places = [None, None, Path("/b"), Path("/b"), Path("/b/outbox")]
    assert [one.on_request and one.on_request.parent for one in given] == places
    assert "--unattended" in given[2].command
    assert [one.name for one in given if one.on_end] == ["login"]
    simulated = with_simulator(given, options, ["--port", "5000"])
    assert "simulate" in simulated[0].command
    assert simulated[1:] == given[1:]


@pytest.mark.parametrize("unit", ["ibkr-gateway.service", "ibkr-watchdog.service"])
def test_fatal_codes_are_those_of_the_units(unit: str) -> None:
    """What systemd does not restart, `up` does not either."""
    lines = (CHECKOUT / "systemd" / unit).read_text().splitlines()
    codes = [line.partition("=")[2].split() for line in lines if line.startswith("RestartPreventExitStatus=")]
    assert [{int(code) for code in each} for each in codes] == [supervisor.FATAL_EXIT_CODES]
