"""Questions to a person at a terminal; an answer that is none is asked for again, with the reason."""

import os
import shlex
import sys
from collections.abc import Callable

import typer

from ibkr_tools import secret_text
from ibkr_tools.config.secrets import Secret
from ibkr_tools.entrypoint import print_stderr
from ibkr_tools.errors import ActionRequired, UsageError
from ibkr_tools.setup.answers import password_problem

MAX_SECRET_BYTES = 4096
"""More than any password has, in bytes."""


def require_root(command: str) -> None:
    """Returns if this is root.

    Raises:
        ActionRequired: it is not.
    """
    if os.geteuid() != 0:
        raise ActionRequired(
            f"{command}: only root can write the configuration and start services",
            hint=f"sudo {shlex.join(['ibkr-tools', *sys.argv[1:]])}",
        )


def is_interactive() -> bool:
    """Says whether a person can be asked: standard input and standard error are a terminal."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str, problem_of: Callable[[str], str], default: str | None) -> str:
    """Returns the answer, without blanks around it, for which `problem_of` returns an empty text.

    Raises:
        typer.Abort: Ctrl-C, or the end of the input.
    """
    while True:
        answer: str = typer.prompt(question, default=default, err=True).strip()
        if not (problem := problem_of(answer)):
            return answer
        print_stderr(f"  {problem}")


def ask_password(question: str, *, may_be_kept: bool) -> Secret | None:
    """Returns a password that was typed twice without an echo; None if nothing was typed, where one may be kept.

    Raises:
        typer.Abort: Ctrl-C, or the end of the input.
    """
    while True:
        typed = _hidden(question)
        if not typed and may_be_kept:
            return None
        if problem := password_problem(typed):
            print_stderr(f"  {problem}")
        elif _hidden("The same once more") == typed:
            return Secret(typed)
        else:
            print_stderr("  the two are not the same")


def _hidden(question: str) -> str:
    typed: str = typer.prompt(question, default="", show_default=False, hide_input=True, err=True)
    return typed


def read_password() -> Secret:
    """Returns the password that is all of standard input, without one line end after it.

    Raises:
        UsageError: there is none, or it is not what a person types.
    """
    where = "--password-stdin"
    if sys.stdin is None:
        raise UsageError(f"{where}: standard input is closed")
    if sys.stdin.isatty():
        raise UsageError(f"{where}: standard input is a terminal, which shows what is typed; leave the option out")
    data = sys.stdin.buffer.read(MAX_SECRET_BYTES + 1)
    if len(data) > MAX_SECRET_BYTES:
        raise UsageError(f"{where}: more than {MAX_SECRET_BYTES} bytes, which no password has")
    try:
        text = secret_text.decode(data)
    except secret_text.UntypableText as error:
        raise UsageError(f"{where}: {error}") from None
    if problem := password_problem(text):
        raise UsageError(f"{where}: {problem}")
    return Secret(text)


def confirm(question: str) -> bool:
    """Asks a question whose answer is usually yes.

    Raises:
        typer.Abort: Ctrl-C, or the end of the input.
    """
    return typer.confirm(question, default=True, err=True)
