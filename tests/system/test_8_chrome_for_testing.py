"""`bin/install --browser chrome-for-testing` on the booted machine, from a mirror: a login in the real units."""

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.chrome_mirror import PROGRAMS, ChromeMirror
from tests.system.machine import CHECKOUT, WHEELS, Machine, now

pytestmark = pytest.mark.system

HOME = "/opt/ibkr-tools/chrome-for-testing"
FIRST, SECOND = "156.0.8078.9", "156.0.8078.10"
UBUNTU = 'ID=ubuntu\\nID_LIKE=debian\\nVERSION_ID="24.04"\\nPRETTY_NAME="Ubuntu 24.04.3 LTS"\\n'


REAL = ("/usr/lib/hidden/chromium", "/usr/lib/hidden-driver")
"""Where the mirror's programs find Debian's, when nothing else does."""


@contextmanager
def as_ubuntu(machine: Machine) -> Iterator[None]:
    """Has the machine be as Ubuntu is: by its name, and without a Chromium that a service can run."""
    machine.run(
        f"""printf {shlex.quote(UBUNTU)} >/srv/ubuntu; touch /srv/empty {REAL[1]}; mkdir -p /usr/lib/hidden
        mount --bind /usr/lib/chromium /usr/lib/hidden; mount --bind {PROGRAMS[1]} {REAL[1]}
        # What is mounted over the first is not to be mounted over the second too.
        mount --make-private /usr/lib/hidden; mount --make-private {REAL[1]}
        for path in {" ".join(PROGRAMS)} /usr/bin/chromium; do mount --bind /srv/empty $path; done
        mount --bind /srv/ubuntu /etc/os-release"""
    )
    yield
    machine.run(
        f"""umount /etc/os-release /usr/bin/chromium {" ".join(PROGRAMS)} /usr/lib/hidden {REAL[1]}
        rm -r /usr/lib/hidden {REAL[1]}"""
    )


def install(
    machine: Machine,
    options: str = "",
    mirror: ChromeMirror | None = None,
    command: str = f"{CHECKOUT}/bin/install --wheels {WHEELS}",
) -> str:
    """Runs bin/install again, or the command of a package, and returns its exit code and all that it says."""
    mirrors = "".join(f"{name}={url} " for name, url in mirror.environment.items()) if mirror else ""
    done = machine.container.run(f"{mirrors}{command} {options}", check=False, timeout_s=240)
    return f"{done.returncode}\n{done.stdout}{done.stderr}"


def test_a_browser_from_google_logs_in(up: Machine) -> None:
    """Where Ubuntu has none; it is renewed, and kept while offline; a changed file is found; there is a way back."""
    mirror = ChromeMirror(FIRST, programs=REAL)
    up.container.in_network(mirror.bind)
    with as_ubuntu(up):
        told = install(up)
        assert told.startswith("69\n")
        assert "--browser chrome-for-testing" in told
        with mirror:
            with up.timed("bin/install --browser chrome-for-testing, of a mirror"):
                told = install(up, "--browser chrome-for-testing", mirror)
            assert told.startswith("0\n"), told
            # Nothing was left to log in with but what was downloaded.
            moment = now()
            up.drop_session()
            up.wait_back(moment)
            assert up.run("ibkr-tools doctor").endswith("nothing to do")
            mirror.version = SECOND
            told = install(up, mirror=mirror)
            assert told.startswith("0\n"), told
            assert up.run(f"readlink {HOME}/current; ls {HOME}").split() == [SECOND, SECOND, "current"]
            up.run(f"echo >>{HOME}/current/chromedriver")
            checks = json.loads(up.container.run("ibkr-tools doctor --json", check=False).stdout)["checks"]
            (found,) = (entry for entry in checks if entry["verdict"] == "fault")
            assert found["message"] == "Chrome for Testing: chromedriver: not what was installed"
            assert found["remedy"] == "sudo ./bin/install --browser chrome-for-testing"
            assert install(up, "--browser chrome-for-testing", mirror).startswith("0\n")
        assert "warning: Chrome for Testing could not be downloaded: " in install(up, mirror=mirror)
        assert up.run("ibkr-tools doctor").endswith("nothing to do")
        up.run(f"touch -d '-61 days' {HOME}/current/SHA256SUMS")
        assert "was installed 61 days ago" in up.container.run("ibkr-tools doctor", check=False).stdout
    assert install(up, "--browser system").startswith("0\n")
    assert up.code(f"test -e {HOME}") == 1
    moment = now()
    up.drop_session()
    up.wait_back(moment)
