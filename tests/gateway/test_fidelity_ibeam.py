"""IBeam, as it comes from PyPI, logs in through IBKR's real gateway in front of the simulator."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from ibkr_tools.simulator import Simulator
from tests.support.distribution import distribution
from tests.support.jar import free_port, running_jar
from tests.support.peers import IBEAM, peer_python
from tests.support.simulation import simulator_options, wait_until

pytestmark = [
    pytest.mark.gateway,
    pytest.mark.browser,
    # IBeam starts a display of its own even for a headless browser.
    pytest.mark.skipif(shutil.which("Xvfb") is None and not os.environ.get("CI"), reason="missing: Xvfb"),
]

SIGNED_IN = "Gateway running and authenticated"


def test_ibeam_logs_in(tmp_path: Path) -> None:
    """One password is submitted, both tiers come up, and IBeam says so."""
    assert shutil.which("Xvfb"), "Debian's xvfb is needed by IBeam"
    driver = shutil.which("chromedriver")
    assert driver is not None
    python = peer_python(IBEAM)
    starter = next(python.parent.parent.glob("lib/python3*/site-packages/ibeam/ibeam_starter.py"))
    temporary, outputs = tmp_path / "tmp", tmp_path / "outputs"
    temporary.mkdir()
    outputs.mkdir()
    with Simulator(simulator_options()) as upstream, running_jar(tmp_path / "gateway", upstream.url) as jar:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "TMPDIR": str(temporary),
            "IBEAM_ACCOUNT": "demo-trader",
            "IBEAM_PASSWORD": "demo-password",
            "IBEAM_GATEWAY_DIR": str(distribution()),
            "IBEAM_GATEWAY_BASE_URL": jar.url,
            # IBeam ends every process whose command line has this text; it must only ever be this gateway.
            "IBEAM_GATEWAY_PROCESS_MATCH": str(tmp_path / "gateway" / "conf"),
            "IBEAM_CHROME_DRIVER_PATH": driver,
            "IBEAM_OUTPUTS_DIR": str(outputs),
            "IBEAM_INPUTS_DIR": str(tmp_path / "inputs"),
            # In seconds; IBeam's own 15 are too few for a busy machine, and it would log in once more.
            "IBEAM_PAGE_LOAD_TIMEOUT": "60",
            "IBEAM_OAUTH_TIMEOUT": "60",
            "IBEAM_HEALTH_SERVER_PORT": str(free_port()),
            "IBEAM_LOG_TO_FILE": "False",
        }
        log = tmp_path / "ibeam.log"
        began = time.monotonic()
        with log.open("wb") as output:
            process = subprocess.Popen(
                [python, starter],
                env=environment,
                cwd=tmp_path,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_until(lambda: SIGNED_IN in log.read_text() or process.poll() is not None, timeout_s=90, step_s=0.1)
            took = time.monotonic() - began
        finally:
            # Its browser, driver and display are in its session; they must not outlive the test.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        assert SIGNED_IN in log.read_text(), log.read_text()
        user = upstream.control.state()["users"]["demo-trader"]
        assert (user["submitted"], user["failures"], user["logins"]) == (1, 0, 1)
        assert [session["brokerage"] for session in upstream.control.state()["sessions"]] == ["up"]
    print(f"IBeam signed in after {took:.1f} s")
