"""ExecStopPost= of ibkr-login.service: reports a login that could not report itself (killed, out of memory or time).

systemd runs it when ibkr-login.service has ended, however it ended, and `ibkr-tools up` does the same. Without it the
watchdog would wait for the report of a dead process until its timeout.
"""

import os
import sys
from collections.abc import Mapping

import msgspec
from loguru import logger

from ibkr_tools import entrypoint, log
from ibkr_tools.control_group import Shortages, memory_advice, read_shortages
from ibkr_tools.directories import find_directories
from ibkr_tools.errors import OutputError
from ibkr_tools.service_result import OUT_OF_MEMORY, describe_unit_end
from ibkr_tools.status import LoginSection, StatusFile, utc_now


def record_abnormal_exit(
    status_file: StatusFile, environ: Mapping[str, str], shortages: Shortages | None = None, *, pid: int | None = None
) -> str | None:
    """Turns a login that is still called running into one that failed; returns why, None if it has reported itself.

    Args:
        status_file: where the login reports.
        environ: systemd's variables about how the unit ended.
        shortages: what its control group has counted; default: it is read when it matters.
        pid: the process that has ended; a login of another process runs on. None: whichever it was.

    Raises:
        OSError: the status file cannot be written.
    """
    section = status_file.read_section(LoginSection)
    if section is None or section.state != "running" or pid not in {None, section.pid}:
        return None
    why, todo = f"the login {describe_unit_end(environ)}", None
    if environ.get("SERVICE_RESULT") == OUT_OF_MEMORY:
        why = f"{why}: {memory_advice(shortages or read_shortages())}"
        todo = "Give the login more memory (docs/login.md#what-a-machine-may-lack)."
    status_file.write(
        msgspec.structs.replace(
            section, updated_at=utc_now(), fresh_for_s=None, pid=None, state="failed", why=why, todo=todo
        )
    )
    return why


def unit_end(environ: Mapping[str, str], shortages: Shortages) -> Mapping[str, str]:
    """Returns systemd's variables; with what the control group of the unit, new at each start, knows better.

    With cgroup v1 systemd is not told that it was memory.
    """
    is_known = environ.get("EXIT_STATUS") == "KILL" and shortages.unit is not None and shortages.oom_kills > 0
    return {**environ, "SERVICE_RESULT": OUT_OF_MEMORY} if is_known else environ


def main() -> int:
    """Records how the login of this unit ended; returns the exit code.

    Raises:
        OutputError: the status file cannot be written.
    """
    log.setup()
    status_file = StatusFile(find_directories().status_file)
    shortages = read_shortages()
    try:
        why = record_abnormal_exit(status_file, unit_end(os.environ, shortages), shortages)
    except OSError as error:
        raise OutputError(f"{status_file.path}: {error.strerror}") from error
    if why:
        # Whoever stops the unit wants that.
        logger.log("INFO" if os.environ.get("SERVICE_RESULT") == "success" else "WARNING", why)
    return 0


if __name__ == "__main__":
    sys.exit(entrypoint.run(main))
