"""Log lines with real priorities: `<N>` prefixes under journald, a coloured human line on a terminal.

stdout is for data; everything here goes to stderr. `setup` has loguru's records written so. Loguru takes 5 MB, most of
it asyncio; this module loads it in `setup` alone, and the parent of Java and its preparation write their few lines by
`write`.
"""

import os
import sys
import time
from typing import TYPE_CHECKING, Literal, TextIO

from ibkr_tools.installation import LAYOUT
from ibkr_tools.instance import INSTANCE_VARIABLE, in_names_of
from ibkr_tools.terminal_escape import escape_control_characters

if TYPE_CHECKING:
    from loguru import Message, Record

# Levels of syslog(3), which journald shows as priorities.
_PRIORITIES = (
    (50, 2),  # CRITICAL
    (40, 3),  # ERROR
    (30, 4),  # WARNING
    (25, 5),  # SUCCESS: notice
    (20, 6),  # INFO
    (0, 7),  # DEBUG, TRACE
)

LevelName = Literal["INFO", "WARNING", "ERROR"]
_LEVELS: dict[LevelName, int] = {"INFO": 20, "WARNING": 30, "ERROR": 40}

_NAMED = frozenset({10, 20, 30, 40, 50})


def is_journal(stream: TextIO) -> bool:
    """Says whether `stream` is the very one that systemd connected to the journal.

    systemd puts device and inode of that stream in JOURNAL_STREAM; a redirected stream differs. Source:
    systemd.exec(5).
    """
    try:
        device, inode = (int(number) for number in os.environ["JOURNAL_STREAM"].split(":"))
        stat = os.fstat(stream.fileno())
    except (KeyError, ValueError, OSError):
        return False
    return (stat.st_dev, stat.st_ino) == (device, inode)


def with_priority(level: int, text: str) -> str:
    """Puts `<N>` before every line: journald takes the priority per line, not per record.

    Args:
        level: a level number of Python's logging and of loguru (20 is INFO).
        text: one or more lines.
    """
    priority = next(priority for floor, priority in _PRIORITIES if level >= floor)
    return "".join(f"<{priority}>{line}\n" for line in text.splitlines() or [""])


def _shown(text: str) -> str:
    """Returns a message with the names of this instance and installation in it, and without control characters."""
    return escape_control_characters(LAYOUT.with_pages(in_names_of(text, os.environ.get(INSTANCE_VARIABLE))))


def write(level: LevelName, text: str) -> None:
    """Writes one record as loguru would after `setup`, without loguru and without colours."""
    shown = _shown(text)
    human = f"{time.strftime('%H:%M:%S')} {level: <7} {shown}\n"
    sys.stderr.write(with_priority(_LEVELS[level], shown) if is_journal(sys.stderr) else human)
    sys.stderr.flush()


def _show_controls(record: "Record") -> None:
    record["message"] = _shown(record["message"])


def setup(*, verbose: bool = False) -> None:
    """Sends loguru's records, and the standard library's from WARNING up, to stderr; call once per process.

    Never shows the values of local variables: with loguru's defaults a password stands next to the failing line.
    """
    # Typed text can stand in the debug records of selenium and urllib3: never below WARNING.
    import logging

    from loguru import logger

    logger.remove()
    logger.configure(patcher=_show_controls)
    level = "DEBUG" if verbose else "INFO"
    if is_journal(sys.stderr):

        def sink(message: "Message") -> None:
            sys.stderr.write(with_priority(message.record["level"].no, str(message)))
            sys.stderr.flush()

        logger.add(sink, level=level, format="{message}", diagnose=False, backtrace=False)
    else:
        logger.add(
            sys.stderr,
            level=level,
            format="<dim>{time:HH:mm:ss}</dim> <level>{level: <7}</level> {message}",
            diagnose=False,
            backtrace=False,
        )

    class _ToLoguru(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            # A level of a library's own has a number, but no name that loguru knows.
            level = record.levelname if record.levelno in _NAMED else record.levelno
            logger.log(level, f"{record.name}: {record.getMessage()}")

    logging.basicConfig(handlers=[_ToLoguru()], level=logging.WARNING, force=True)
