"""A program that a person has named, whatever it does."""

import os
import subprocess
import sys
from functools import partial

import pytest

from ibkr_tools import user_command
from ibkr_tools.user_command import CommandResult, last_line, run_user_command, spawn_locally
from tests.support.patience import wait_until, within
from tests.support.processes import is_alive


def run(script: str, timeout_s: float = 20) -> CommandResult:
    """Runs a line of shell."""
    return run_user_command(["/bin/sh", "-c", script], {"PATH": os.defpath}, timeout_s)


def test_what_it_says_and_how_it_ends() -> None:
    result = run("echo out; echo first >&2; printf '\\033[2Jlast\\n\\n' >&2; exit 3")
    assert (result.exit_status, result.output, result.complaint) == (3, b"out\n", "[2Jlast")
    assert user_command.describe_end(3) == "ended with exit code 3"
    assert run("kill -9 $$").exit_status == -9
    assert user_command.describe_end(-9) == "was killed by SIGKILL"


def test_a_child_that_it_leaves_behind_makes_nobody_wait() -> None:
    """It is ended, and what was printed before is there."""
    with within(10):
        result = run("sleep 60 & echo $!")
    assert result.exit_status == 0
    wait_until(lambda: not is_alive(int(result.output)))


def test_it_reads_what_it_is_given() -> None:
    spawn = partial(spawn_locally, stdin=b"x" * 200_000)
    result = run_user_command(["/usr/bin/env", "wc", "-c"], {"PATH": os.defpath}, 20, spawn=spawn)
    assert result.output.split() == [b"200000"]


@pytest.mark.parametrize(
    ("script", "timeout_s", "too_much"), [("yes", 60.0, True), ("yes >&2", 1.0, False), ("exec sleep 60", 1.0, False)]
)
def test_one_that_does_not_end_is_ended(script: str, timeout_s: float, too_much: bool) -> None:
    """Also one that prints for ever: little of it is kept."""
    result = run(script, timeout_s)
    assert (result.exit_status, result.has_printed_too_much) == (None, too_much)
    assert len(result.output) <= 2 * user_command.MAX_OUTPUT_BYTES
    assert len(result.error_output) <= user_command.MAX_OUTPUT_BYTES


def test_one_whose_end_somebody_else_has_noted() -> None:
    """As of a login in a network of its own, whose helper is the parent of the program."""
    process = subprocess.Popen(
        [sys.executable, "-c", "print('done')"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0
    )
    process.wait(60)
    result = run_user_command(["x"], {}, 20, spawn=lambda _command, _environment: process)
    assert (result.exit_status, result.output) == (0, b"done\n")


@pytest.mark.parametrize(
    ("text", "line"), [("", ""), ("a\nb\n\n", "b"), (" a\x07b \n", "a b"), ("x" * 1000, "x" * 300)]
)
def test_the_last_line(text: str, line: str) -> None:
    assert last_line(text) == line
