"""What the tests promise of the machine and of its processes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT
from tests.support.layers import no_namespaces
from tests.support.processes import is_alive, is_group_alive
from tests.support.simulation import wait_until


def test_a_young_machine_is_what_its_processes_see() -> None:
    """`bin/young`: boot clock, monotonic clock and /proc/uptime, and in children of children."""
    if reason := no_namespaces("--time"):
        pytest.skip(f"no time namespace here: {reason}")
    look = (
        "import json, time; up = float(open('/proc/uptime').read().split()[0])\n"
        "print(json.dumps([time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME), up]))"
    )
    command = [str(CHECKOUT / "bin" / "young"), "sh", "-c", f'"{sys.executable}" -c "{look}"']
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    ages_s = json.loads(done.stdout)
    assert all(0 < age_s < 300 for age_s in ages_s), ages_s


def test_a_zombie_is_not_alive() -> None:
    """In a container nobody may reap it."""
    process = subprocess.Popen(["/bin/sleep", "60"], start_new_session=True)
    assert is_alive(process.pid)
    assert is_group_alive(process.pid)
    process.kill()
    wait_until(lambda: not is_alive(process.pid))
    assert Path(f"/proc/{process.pid}").exists()
    assert not is_group_alive(process.pid)
    process.wait()
    assert not is_alive(process.pid)
