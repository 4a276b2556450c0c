"""What `ibkr-tools setup` is told, and why an answer is none. Pure."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ibkr_tools import account_ids, executables, secret_text
from ibkr_tools.config import example
from ibkr_tools.config.loader import config_problems
from ibkr_tools.errors import UsageError

NONE = "none"
"""The answer that there shall be no snapshots on a schedule, or no alerts."""

NTFY_COMMAND = ("/bin/bash", "-o", "pipefail", "-c", 'jq -r .text | curl -fsS --data-binary @- -- "$1"', "ntfy")
"""Sends the text of an alert to the address that follows: that of a topic of ntfy, or of what takes a text likewise."""

_SEND_MAIL = """\
import json, smtplib, sys
from email.message import EmailMessage
alert, mail = json.load(sys.stdin), EmailMessage()
mail["From"] = mail["To"] = sys.argv[1]
mail["Subject"] = alert["subject"]
mail.set_content(alert["text"])
with smtplib.SMTP("localhost", timeout=20) as server:
    server.send_message(mail)
"""

MAIL_COMMAND = ("/usr/bin/python3", "-I", "-c", _SEND_MAIL)
"""Mails an alert to the address that follows, through the mail server of this machine."""

_MAIL_ADDRESS = re.compile(r"[A-Za-z0-9._%+\-]+@[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)*")
_URL = re.compile(r"(?i:https?)://[A-Za-z0-9.\-]+(?::[0-9]{1,5})?/(?:(?![?#@])[!-~])+")


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What the configuration is to say, and when a snapshot is saved.

    `schedule` is an expression as systemd's OnCalendar= has it, or `none`; `alert_command` is alerts.command. None
    leaves either as it is.
    """

    username: str
    account: str
    schedule: str | None = None
    alert_command: tuple[str, ...] | None = None


def username_problem(text: str) -> str:
    """Returns why a text cannot be the IBKR user's name; an empty text if it can."""
    if not text:
        return "there is nothing in it"
    if why := dict(example.unreplaced_values({"username": text})).get("username"):
        return why
    return _config_problem("username", {"username": text, "account": account_ids.EXAMPLE_NUMBER})


def account_problem(text: str, username: str) -> str:
    """Returns why a text cannot be the account's number; an empty text if it can."""
    return _config_problem("account", {"username": username, "account": text})


def _config_problem(key: str, document: Mapping[str, str]) -> str:
    problems = (problem.partition(": ") for problem in config_problems(document))
    return next((why for where, _, why in problems if where == key), "")


def password_problem(text: str) -> str:
    """Returns why a text cannot be a password, without showing it; an empty text if it can."""
    if not text:
        return "there is nothing in it"
    if example.is_password(text):
        return example.STILL_THE_EXAMPLE
    try:
        secret_text.require_typable(text)
    except secret_text.UntypableText as error:
        return str(error)
    return ""


def parse_alerts(text: str, start_problem: Callable[[str], str | None] = executables.start_problem) -> tuple[str, ...]:
    """Returns the command that tells a person in the way that `text` names, empty for `none`.

    A way is `none`, the address of an ntfy topic, a mail address, or a command as a list in JSON.

    Args:
        text: the answer.
        start_problem: says why a program cannot be started here; see `executables.start_problem`.

    Raises:
        UsageError: it is none of them, or a program is missing that it needs; no part of a command is shown.
    """
    bare = text.strip()
    if bare.casefold() == NONE:
        return ()
    command: tuple[str, ...]
    needed: tuple[str, ...] = ()
    if _MAIL_ADDRESS.fullmatch(bare):
        command, needed = (*MAIL_COMMAND, bare), ("/usr/bin/python3",)
    elif _URL.fullmatch(bare):
        command, needed = (*NTFY_COMMAND, bare), ("jq", "curl")
    elif bare.startswith("["):
        command = _parse_command(bare)
    else:
        raise UsageError(
            "neither none, nor an address such as https://ntfy.sh/TOPIC or you@example.org, nor a JSON list"
        )
    if missing := [name for name in needed if start_problem(name)]:
        raise UsageError(f"that needs {' and '.join(missing)} on this machine: apt install {' '.join(missing)}")
    if problem := executables.command_problem(command):
        raise UsageError(problem)
    return command


def _parse_command(text: str) -> tuple[str, ...]:
    try:
        parts = json.loads(text)
    except (ValueError, RecursionError):
        parts = None
    if not isinstance(parts, list) or not parts or not all(isinstance(part, str) and part for part in parts):
        raise UsageError('a command is a list of texts in JSON, such as ["/usr/local/bin/tell-me", "--now"]')
    if any("\0" in part or re.search("[\ud800-\udfff]", part) for part in parts):
        raise UsageError("a command has neither a NUL character nor half a one in it")
    return tuple(parts)


def edited(document: Mapping[str, Any], answers: Answers) -> dict[str, Any]:
    """Returns the configuration with the answers in it; what else is there stays as and where it is.

    The password is not in it: it has a file of its own.
    """
    changed = dict(document)
    changed.pop("password", None)
    # The order of a new file; keys that are there keep their place.
    changed["username"] = answers.username
    changed["account"] = answers.account
    if answers.alert_command is not None and answers.alert_command != present_alert_command(document):
        section = dict(document.get("alerts") or {})
        section["command"] = list(answers.alert_command)
        changed["alerts"] = section
    return changed


def present_alert_command(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns alerts.command of a configuration; empty if it has none."""
    section = document.get("alerts")
    command = section.get("command") if isinstance(section, Mapping) else None
    return tuple(command) if isinstance(command, list) else ()


def present_value(document: Mapping[str, Any], key: str) -> str | None:
    """Returns the user name or the account of a configuration; None if there is none, or still the example's."""
    value = document.get(key)
    if not isinstance(value, str):
        return None
    if key == "account":
        # The example's number is a possible one: beside the example's user it is nobody's.
        is_example = "username" in dict(example.unreplaced_values(document))
        return None if is_example or account_problem(value, "") else value
    return None if username_problem(value) else value
