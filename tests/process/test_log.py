"""What a program's log looks like in the journal."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest


def under_journal(program: str, environment: dict[str, str], *, lie: bool = False) -> str:
    """Runs a program whose stderr is a socket, as under systemd, with JOURNAL_STREAM naming it."""
    ours, its = socket.socketpair()
    with ours, its:
        stat = os.fstat(its.fileno())
        stream = f"{stat.st_dev}:{stat.st_ino + lie}"
        subprocess.run(
            [sys.executable, "-c", program],
            env=environment | {"JOURNAL_STREAM": stream},
            stderr=its.fileno(),
            check=True,
        )
        its.close()
        with ours.makefile() as file:
            return file.read()


LOGURU = """
import logging
from ibkr_tools import log
log.setup(verbose=True)
from loguru import logger
logger.debug("d"); logger.info("i"); logger.success("s"); logger.warning("w"); logger.error("e\\n2")
logger.critical("c")
logging.getLogger("theirs").warning("foreign %s", "text")
logging.getLogger("theirs").info("not this")
logging.getLogger("theirs").log(35, "own level")
logger.info("<red>no {markup} %s")
"""


def test_loguru_speaks_to_the_journal(environment: dict[str, str]) -> None:
    assert under_journal(LOGURU, environment).splitlines() == [
        *("<7>d", "<6>i", "<5>s", "<4>w", "<3>e", "<3>2", "<2>c"),
        *("<4>theirs: foreign text", "<4>theirs: own level", "<6><red>no {markup} %s"),
    ]


def test_what_is_of_interest_only_for_a_fault_is_not_shown(environment: dict[str, str]) -> None:
    assert under_journal(LOGURU.replace("verbose=True", ""), environment).splitlines()[0] == "<6>i"


def test_a_redirected_stream_gets_no_prefix(environment: dict[str, str]) -> None:
    """Only the very stream that systemd connected is spoken to in journald's language."""
    assert "<3>" not in under_journal(LOGURU, environment, lie=True)


FAILING = """
from ibkr_tools import entrypoint, log
from ibkr_tools.config.secrets import Secret
log.setup(verbose=True)
from loguru import logger

def submit(secret, typed):
    raise RuntimeError("the page broke")

def program():
    password, typed = Secret("hunter2-hidden"), "hunter2-typed"
    try:
        submit(password, typed)
    except RuntimeError:
        logger.exception("login failed")
    submit(password, typed)

raise SystemExit(entrypoint.run(program, verbose=True) - 70)
"""


@pytest.mark.parametrize("lie", [False, True])
def test_no_value_of_a_variable_stands_in_a_traceback(environment: dict[str, str], tmp_path: Path, lie: bool) -> None:
    """loguru's default shows the values next to the failing line: the password was among them."""
    # From a file, so that the traceback can show its lines.
    (tmp_path / "failing.py").write_text(FAILING)
    text = under_journal(f"import runpy; runpy.run_path({str(tmp_path / 'failing.py')!r})", environment, lie=lie)
    assert text.count("RuntimeError: the page broke") >= 2
    assert "in submit" in text
    shown = text.replace('Secret("hunter2-hidden"), "hunter2-typed"', "")  # the source line itself, no value
    assert "hunter2" not in shown


def test_a_traceback_is_of_one_priority(environment: dict[str, str]) -> None:
    text = under_journal(FAILING, environment)
    assert all(line.startswith("<3>") for line in text.splitlines())


RAISING = """
from ibkr_tools import entrypoint
from ibkr_tools.errors import SessionUnavailable
from ibkr_tools.login.sigterm import LoginInterrupted

def program():
    raise {kind}("what happened", hint="what to do")

entrypoint.run(program)
"""


@pytest.mark.parametrize(("kind", "priority"), [("SessionUnavailable", 3), ("LoginInterrupted", 6)])
def test_a_login_that_is_stopped_is_no_error_of_the_journal(
    environment: dict[str, str], kind: str, priority: int
) -> None:
    """Somebody has stopped the unit, or the machine."""
    lines = under_journal(RAISING.format(kind=kind), environment).splitlines()
    assert lines == [f"<{priority}>error: what happened", f"<{priority}>hint: what to do"]
