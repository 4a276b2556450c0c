"""`serve` runs until it is told to stop, says when it is ready, and leaves nothing open."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ibkr_tools.simulator import SimulatorOptions, User, account_numbers
from tests.support.caller import Caller

PROGRAM = "from ibkr_tools.simulator import *; serve(SimulatorOptions(port=0, control_port=0, positions=1))"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_stops_cleanly(number: signal.Signals, environment: dict[str, str], tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        match = re.fullmatch(
            r"simulator ready behind a gateway: http://127\.0\.0\.1:(\d+), control http://127\.0\.0\.1:(\d+)\n", line
        )
        assert match, line
        assert Caller(int(match[1])).get("/v1/api/tickle").status == 401
        assert Caller(int(match[2])).get("/state").data["mode"] == "upstream"
        process.send_signal(number)
        assert process.wait(timeout=60) == 0
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def test_options_that_cannot_work_are_refused() -> None:
    for changes in ({"certificate": Path("a.pem")}, {"accounts": ()}, {"speed": 0}, {"positions": -1}):
        with pytest.raises(ValueError, match=r"needed|above|negative"):
            SimulatorOptions(**changes)


def test_account_numbers_count_upwards() -> None:
    assert account_numbers("U1234567", 3) == ("U1234567", "U1234568", "U1234569")
    assert account_numbers("DU0000009", 2) == ("DU0000009", "DU0000010")


def test_passwords_are_not_in_a_users_repr() -> None:
    assert "secret" not in repr(User("someone", "secret"))
