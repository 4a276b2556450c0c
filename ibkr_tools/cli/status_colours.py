"""Colours of the status, at a terminal only. Pure."""

import re
from collections.abc import Mapping

_GREEN, _YELLOW, _RED, _BOLD, _PLAIN = "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[1m", "\x1b[0m"

_COLOURS = {
    **dict.fromkeys(("up", "succeeded", "unlocked"), _GREEN),
    **dict.fromkeys(
        (
            "starting",
            "unreachable",
            "maintenance",
            "logging-in",
            "degraded",
            "lost",
            "backing-off",
            "competing",
            "paused",
        ),
        _YELLOW,
    ),
    **dict.fromkeys(
        ("gateway-down", "locked-out", "stopped", "failed", "refused", "action-required", "EXPOSED:", "wrong:"), _RED
    ),
}
"""By the first word of a line."""


def is_coloured(environ: Mapping[str, str]) -> bool:
    """Says whether a person at a terminal wants colours. Source: no-color.org."""
    return not environ.get("NO_COLOR") and environ.get("TERM", "dumb") != "dumb"


def coloured(line: str) -> str:
    """Returns a line of the status with its first word in the colour of what it means; what is to be done is bold."""
    if line.startswith("to do: "):
        return f"{_BOLD}{line}{_PLAIN}"
    return re.sub(
        r"^\S+", lambda word: f"{_COLOURS[word[0]]}{word[0]}{_PLAIN}" if word[0] in _COLOURS else word[0], line
    )
