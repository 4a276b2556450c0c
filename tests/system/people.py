"""Two more accounts on the booted machine, and what they may do there."""

import shlex
from typing import NamedTuple

from tests.system.machine import Machine

SHARED = "/var/lib/ibkr-tools/shared"


class Answer(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


class People:
    """The booted machine with two more accounts: `outsider` in no group, `member` in the group ibkr."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def run(self, user: str, command: str, *, timeout_s: float = 60) -> Answer:
        """Runs a shell command as a user of the machine; a failure is an answer."""
        told = self.machine.container.run(
            f"cd / && runuser -u {user} -- env HOME=/tmp bash -c {shlex.quote(command)}",
            check=False,
            timeout_s=timeout_s,
        )
        return Answer(told.returncode, told.stdout, told.stderr)
