"""Logins that are killed, as the login_log knows them."""

import itertools
import os
import signal
import subprocess
import sys
import typing
from pathlib import Path

from ibkr_tools import files
from ibkr_tools.directories import Directories
from ibkr_tools.login.budget import LOCK_AFTER_FAILURES
from ibkr_tools.login.login_log import LoginLog
from tests.support.clocks import BEGIN as NOW


def directories_in(folder: Path) -> Directories:
    return Directories(configuration=folder / "conf", runtime=folder / "run", state=folder / "state")


def test_first_login_that_is_killed_anywhere_locks_nobody_out(tmp_path: Path) -> None:
    """SIGKILL at every line while the login log is begun: the next login begins it, or finds it whole."""
    ours = str(Path(files.__file__).parent)
    killed, was_begun = 0, False
    for line in itertools.count(1):
        directories = directories_in(tmp_path / str(line))
        login_log = LoginLog(directories.login, directories=directories)
        pid = os.fork()
        if pid == 0:
            left = line

            def count(frame: typing.Any, event: str, _argument: object) -> typing.Any:
                nonlocal left
                if not frame.f_code.co_filename.startswith(ours):
                    return None
                if event == "line":
                    left -= 1
                    if left == 0:
                        os.kill(os.getpid(), signal.SIGKILL)
                return count

            sys.settrace(count)
            login_log.create(NOW)
            os._exit(0)
        status = os.waitpid(pid, 0)[1]
        was_begun = login_log.path.exists()
        login_log.create(NOW)
        assert login_log.budget(NOW).allowed
        if status == 0:
            break
        killed += 1
    assert was_begun
    assert killed > 30


def test_process_killed_between_submission_and_answer_counts_as_failed(tmp_path: Path) -> None:
    """SIGKILL right after the attempt, in a real process: what is left behind is a failure, and the file is whole."""
    program = (
        "import sys, signal; from datetime import UTC, datetime; from pathlib import Path\n"
        "from ibkr_tools.config.secrets import Secret; from ibkr_tools.login.login_log import LoginLog\n"
        "LoginLog(Path(sys.argv[1])).record_submission(datetime.now(UTC), 'reader', Secret('x'))\n"
        "print('submitting', flush=True); signal.pause()"
    )
    for number in range(LOCK_AFTER_FAILURES):
        assert not LoginLog(tmp_path).budget(NOW).locked
        process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"submitting\n"
            process.send_signal(signal.SIGKILL)
        assert [attempt.result for attempt in LoginLog(tmp_path).attempts(NOW)] == ["submitted"] * (number + 1)
    assert LoginLog(tmp_path).budget(NOW).locked
