"""A login on a machine that lacks something: it comes to its session, or says in a sentence what is missing."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ibkr_tools.login.browser_profile import TEMPORARY
from tests.browser.conftest import Home
from tests.support.checkout import CHECKOUT
from tests.support.simulation import wait_until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts, limits and control groups take root"),
]

LOGIN = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from ibkr_tools import entrypoint, log
    from ibkr_tools.config.loader import load_config
    from ibkr_tools.directories import Directories
    from ibkr_tools.login.login_runner import run_login
    root = Path(sys.argv[1])
    directories = Directories(configuration=root / "conf", runtime=root / "run", state=root / "state")
    log.setup()
    def main():
        run_login(load_config(directories.config_file), directories, directories.config_file, unattended=True)
    sys.exit(entrypoint.run(main))
    """
)


def login(home: Home, machine: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Logs in after a shell has made the machine what `machine` says, in a mount namespace of its own."""
    home.configure()
    setup = ["unshare", "--mount", "sh", "-c", f'set -e\n{machine}\nexec "$@"', "sh"]
    done = subprocess.run(
        [*setup, *arguments, sys.executable, "-c", LOGIN, str(home.root)],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), **environment},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    print(done.returncode, done.stderr)
    return done


def test_a_small_shared_memory(home: Home) -> None:
    """A container's /dev/shm, and a smaller one."""
    assert login(home, "mount -t tmpfs -o size=1m tmpfs /dev/shm").returncode == 0


@pytest.mark.parametrize(
    "options",
    ["size=1m,mode=1777", "size=64m,nr_inodes=1,mode=1777", "size=64m,mode=755", "ro"],
    ids=["full", "no inodes", "not writable", "read-only"],
)
def test_a_useless_directory_for_temporary_files(home: Home, options: str) -> None:
    """They go into the profile, and are gone with the next login at the latest."""
    place = home.root / "tmp"
    place.mkdir()
    assert login(home, f"mount -t tmpfs -o {options} tmpfs {place}", TMPDIR=str(place)).returncode == 0
    assert (home.directories.browser / TEMPORARY).is_dir()
    home.control.drop()
    assert login(home, "").returncode == 0
    assert not (home.directories.browser / TEMPORARY).exists()


def test_few_open_files(home: Home) -> None:
    """Chromium's own words, and the limit; a soft limit alone is raised."""
    done = login(home, "", "prlimit", "--nofile=24:1024")
    assert done.returncode == 0
    home.control.drop()
    done = login(home, "", "prlimit", "--nofile=64")
    assert done.returncode == 78
    assert "Too many open files" in done.stderr
    assert "LimitNOFILE=" in done.stderr


@contextmanager
def control_group(controller: str, limits: dict[str, int]) -> Iterator[Path]:
    """Makes a control group with the first limit of which the kernel has the file; skips where it has none."""
    base = next(path for path in (Path("/sys/fs/cgroup") / controller, Path("/sys/fs/cgroup")) if path.is_dir())
    group = base / f"ibkr-tools-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        pytest.skip("no control group can be made")
    try:
        name = next((name for name in limits if (group / name).exists()), None)
        if name is None:
            pytest.skip(f"the controller {controller} is not there")
        (group / name).write_text(str(limits[name]))
        yield group
    finally:
        # What a killed process leaves takes a moment to go.
        wait_until(lambda: not (group / "cgroup.procs").read_text(), 20)
        group.rmdir()


def test_little_memory(home: Home) -> None:
    """Too little to start with, or to show the page: it is said which limit it was, and how much is needed."""
    limit = 130 << 20
    with control_group("memory", {"memory.max": limit, "memory.limit_in_bytes": limit}) as group:
        done = login(home, f"echo $$ >{group}/cgroup.procs")
    assert done.returncode == 75
    for words in ("memory ran out", "130 MB are allowed here", "may need 500 MB"):
        assert words in done.stderr
    assert home.section.state == "failed"
    assert "memory ran out" in home.section.why


def test_few_processes(home: Home) -> None:
    with control_group("pids", {"pids.max": 60}) as group:
        done = login(home, f"echo $$ >{group}/cgroup.procs")
    assert done.returncode == 75
    assert "no more than 60 processes and threads are allowed here" in done.stderr


def test_a_read_only_state_directory(home: Home) -> None:
    """No password is submitted that could not be counted."""
    state = home.root / "state"
    done = login(home, f"mount --bind {state} {state}; mount -o remount,ro,bind {state}")
    assert done.returncode == 73
    assert f"{state}/login: Read-only file system" in done.stderr
    assert home.control.submitted() == 0


def test_nearly_full_state_directory(home: Home) -> None:
    """Chromium wants some megabytes, which are not there: the directory is named, not Chromium."""
    state = home.root / "state"
    fill = (
        f"cp -a {state} {state}.kept; mount -t tmpfs -o size=1200k,mode=755 tmpfs {state}; cp -a {state}.kept/. {state}"
    )
    done = login(home, fill)
    assert done.returncode == 73
    assert "No space left on device" in done.stderr
    assert home.control.submitted() == 0
