"""The user of the units and its group."""

import grp
import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ibkr_tools.doctor.finding import Finding, Findings, Private
from ibkr_tools.doctor.shipped_units import SYSUSERS
from ibkr_tools.doctor.subject import Subject
from ibkr_tools.privileges import SERVICE_USER

_CHECK = Findings("users")

_FIRST_PERSON = 1000
"""Numbers from here on belong to people; see login.defs(5)."""

_MAKE = f"sudo systemd-sysusers {SYSUSERS}"


@dataclass(frozen=True, kw_only=True)
class UserFacts:
    """The user `ibkr`; `other_groups` those of other names, `has_password`: whether one can log in with a password.

    `uid`, `group` (that of the user) are None where there is none; `has_group`: there is a group of that name. `twin`:
    the name of another user with its number; `free_uid` is one that nobody has.
    """

    uid: int | None
    group: str | None = None
    shell: str = ""
    has_group: bool = True
    other_groups: tuple[str, ...] = ()
    has_password: bool | None = None
    twin: str | None = None
    free_uid: int = _FIRST_PERSON


def read_user(shadow: Path = Path("/etc/shadow")) -> UserFacts:
    """Looks the user up."""
    has_group = any(group.gr_name == SERVICE_USER for group in grp.getgrall())
    try:
        user = pwd.getpwnam(SERVICE_USER)
    except KeyError:
        return UserFacts(uid=None, has_group=has_group)
    groups = {group.gr_gid: group for group in grp.getgrall()}
    users = pwd.getpwall()
    taken = {other.pw_uid for other in users}
    has_password = None
    try:
        for line in shadow.read_text().splitlines():
            if line.startswith(f"{SERVICE_USER}:"):
                has_password = not line.split(":")[1].startswith(("!", "*"))
    except OSError:
        pass
    return UserFacts(
        uid=user.pw_uid,
        group=groups[user.pw_gid].gr_name if user.pw_gid in groups else None,
        shell=user.pw_shell,
        has_group=has_group,
        other_groups=tuple(
            group.gr_name for group in groups.values() if SERVICE_USER in group.gr_mem and group.gr_name != SERVICE_USER
        ),
        has_password=has_password,
        twin=next(
            (other.pw_name for other in users if other.pw_uid == user.pw_uid and other.pw_name != SERVICE_USER), None
        ),
        free_uid=next(number for number in range(_FIRST_PERSON, 65_000) if number not in taken),
    )


def judge_user(facts: UserFacts) -> Iterator[Finding]:
    """Yields what gives the units' user more, or less, than it should have."""
    if facts.uid is None or not facts.has_group:
        noun = "user" if facts.uid is None else "group"
        yield _CHECK.fault(f"there is no {noun} {SERVICE_USER}, as whom every unit runs", _MAKE)
        return
    problems = []
    if facts.uid == 0 or facts.uid >= _FIRST_PERSON:
        problems.append(
            _CHECK.fault(
                f"the user {SERVICE_USER} has the number {facts.uid}, which is no system user's",
                f"sudo systemctl stop ibkr-gateway && sudo usermod -l {SERVICE_USER}-person {SERVICE_USER} && {_MAKE}",
            )
        )
    if facts.group != SERVICE_USER:
        problems.append(
            _CHECK.fault(
                f"the group of the user {SERVICE_USER} is another one", f"sudo usermod -g {SERVICE_USER} {SERVICE_USER}"
            )
        )
    problems += [
        _CHECK.fault(
            (f"the user {SERVICE_USER} is in another group, and has its rights: ", Private(group)),
            ("sudo gpasswd -d ibkr ", Private(group)),
        )
        for group in facts.other_groups
    ]
    if facts.has_password:
        problems.append(
            _CHECK.fault(f"one can log in as {SERVICE_USER} with a password", f"sudo usermod -p '!*' {SERVICE_USER}")
        )
    if not facts.shell.endswith(("/nologin", "/false")):
        problems.append(
            _CHECK.fault(f"the user {SERVICE_USER} has a shell", f"sudo usermod -s /usr/sbin/nologin {SERVICE_USER}")
        )
    if facts.twin is not None:
        problems.append(
            _CHECK.fault(
                (f"another user has the number of {SERVICE_USER}, and can do all that it can: ", Private(facts.twin)),
                (
                    # Nobody's number is changed while a process has it.
                    f"sudo systemctl stop ibkr-gateway && sudo usermod -u {facts.free_uid} ",
                    Private(facts.twin),
                    " && sudo systemctl start ibkr-gateway",
                ),
            )
        )
    yield from problems or [_CHECK.ok(f"{SERVICE_USER} is a system user, without a password and a shell")]


def check_users(subject: Subject) -> Iterator[Finding]:
    """Looks at the user of the units."""
    if not subject.is_installed:
        yield _CHECK.ok("no services are installed")
        return
    yield from judge_user(read_user())
