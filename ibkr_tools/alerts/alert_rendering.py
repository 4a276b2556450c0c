"""A message as a person reads it: one line for a subject, and several for the rest."""

import socket
from datetime import datetime

from ibkr_tools.alert_outbox import AlertMessage, unit_topic
from ibkr_tools.instance import current_instance, in_names_of
from ibkr_tools.status import Moment
from ibkr_tools.terminal_escape import replace_unprintable

MAX_SUBJECT_CHARACTERS = 120
_MINUTES_OF_HOUR = 60


class RenderedAlert(AlertMessage, frozen=True, kw_only=True):
    """What the command gets on its standard input: the message, and the same ready to be sent.

    `host` is this machine's name, `subject` one line, `text` several; `since` is when the topic was opened.
    """

    host: str
    subject: str
    text: str
    since: Moment


def _one_line(text: str) -> str:
    return in_names_of(" ".join(replace_unprintable(text).split()), current_instance())


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SUBJECT_CHARACTERS else text[: MAX_SUBJECT_CHARACTERS - 1].rstrip() + "…"


def _format_time(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M %Z}"


def _format_minutes(since: datetime, at: datetime) -> str:
    minutes = max(0, round((at - since).total_seconds() / 60))
    hours, rest = divmod(minutes, _MINUTES_OF_HOUR)
    return f"{hours} h {rest} min" if hours else f"{rest} min"


def render_alert(message: AlertMessage, since: datetime, host: str | None = None) -> RenderedAlert:
    """Returns a message, whose topic was opened at `since`, ready to be sent."""
    host = host or socket.gethostname()
    what = _one_line(message.what).rstrip(".")
    # The name of a unit stays as it is typed.
    first = what[:1] if message.topic.startswith(unit_topic("")) else what[:1].upper()
    lines = [f"{first}{what[1:]}.", ""]
    if message.over:
        lines.append(f"It began {_format_time(since)} and lasted {_format_minutes(since, message.at)}.")
    if message.next:
        lines.append(f"What happens by itself: {_one_line(message.next)}")
    lines.append(f"What you have to do: {_one_line(message.todo) if message.todo else 'nothing'}")
    who = f"IBKR user {message.user} on {host}" if message.user else host
    lines += ["", f"{who}, {_format_time(message.at)} ({message.topic})"]
    return RenderedAlert(
        **{name: getattr(message, name) for name in AlertMessage.__struct_fields__},
        host=host,
        subject=_cut(f"IBKR on {host}: {'over: ' if message.over else ''}{what}"),
        text="\n".join(lines) + "\n",
        since=since,
    )
