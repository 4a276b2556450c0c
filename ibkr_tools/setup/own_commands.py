"""Our own commands, each in a process that stops being root before it touches a directory of others."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ibkr_tools.login.outcomes import AttemptResult


class OwnCommands:
    """Runs `ibkr-tools` with the global options that name the same directories."""

    def __init__(self, options: Sequence[str]) -> None:
        self._command = (sys.executable, "-I", "-m", "ibkr_tools", *options)

    def run(self, *arguments: str) -> int:
        """Runs a command that talks to the person itself, and returns its exit code."""
        sys.stdout.flush()
        sys.stderr.flush()
        return subprocess.run([*self._command, *arguments], stdin=subprocess.DEVNULL, check=False).returncode

    def succeeds(self, *arguments: str) -> bool:
        """Runs a command whose words are nobody's business, and says whether it ended with 0."""
        return self._quietly(*arguments).returncode == 0

    def is_refused(self) -> bool:
        """Says whether IBKR has refused user name and password since the last login that succeeded or was cleared.

        A login log that is damaged says nothing of that kind: a person alone clears it.
        """
        try:
            shown: dict[str, Any] = json.loads(self._quietly("unlock", "--show", "--json").stdout)
        except ValueError:
            return False
        return has_refusal(shown["attempts"])

    def _quietly(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*self._command, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )


def has_refusal(attempts: Sequence[Mapping[str, Any]]) -> bool:
    """Says whether one of these attempts, oldest first, is a refusal that nothing has made void since."""
    for attempt in reversed(attempts):
        if attempt["cleared"] or attempt["result"] == AttemptResult.SUCCEEDED.value:
            return False
        if attempt["result"] == AttemptResult.REFUSED.value:
            return True
    return False
