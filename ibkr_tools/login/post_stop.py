"""ExecStopPost= of ibkr-login.service: reports a login that could not report itself (killed, out of memory or time).

systemd runs it when ibkr-login.service has ended, however it ended. Without it the watchdog would wait for the report
of a dead process until its timeout.
"""

import os
import sys
from collections.abc import Mapping

import msgspec
from loguru import logger

from ibkr_tools import entrypoint, log
from ibkr_tools.directories import find_directories
from ibkr_tools.errors import OutputError
from ibkr_tools.service_result import describe_unit_end
from ibkr_tools.status import LoginSection, StatusFile, utc_now


def record_abnormal_exit(status_file: StatusFile, environ: Mapping[str, str]) -> str | None:
    """Turns a login that is still called running into one that failed; returns why, None if it has reported itself.

    Raises:
        OSError: the status file cannot be written.
    """
    section = status_file.read_section(LoginSection)
    if section is None or section.state != "running":
        return None
    why = f"the login {describe_unit_end(environ)}"
    status_file.write(
        msgspec.structs.replace(section, updated_at=utc_now(), fresh_for_s=None, pid=None, state="failed", why=why)
    )
    return why


def main() -> int:
    """Records how the login of this unit ended; returns the exit code.

    Raises:
        OutputError: the status file cannot be written.
    """
    log.setup()
    status_file = StatusFile(find_directories().status_file)
    try:
        why = record_abnormal_exit(status_file, os.environ)
    except OSError as error:
        raise OutputError(f"{status_file.path}: {error.strerror}") from error
    if why:
        logger.warning(why)
    return 0


if __name__ == "__main__":
    sys.exit(entrypoint.run(main))
