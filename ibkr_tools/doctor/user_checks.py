"""The user of the units and its group."""

import grp
import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ibkr_tools.doctor.finding import Finding, Findings, Private
from ibkr_tools.doctor.shipped_units import sysusers_file
from ibkr_tools.doctor.subject import Subject
from ibkr_tools.instance import current_instance
from ibkr_tools.privileges import service_user

_CHECK = Findings("users")

_FIRST_PERSON = 1000
"""Numbers from here on belong to people; see login.defs(5)."""


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
    has_group = any(group.gr_name == service_user() for group in grp.getgrall())
    try:
        user = pwd.getpwnam(service_user())
    except KeyError:
        return UserFacts(uid=None, has_group=has_group)
    groups = {group.gr_gid: group for group in grp.getgrall()}
    users = pwd.getpwall()
    taken = {other.pw_uid for other in users}
    has_password = None
    try:
        for line in shadow.read_text().splitlines():
            if line.startswith(f"{service_user()}:"):
                has_password = not line.split(":")[1].startswith(("!", "*"))
    except OSError:
        pass
    return UserFacts(
        uid=user.pw_uid,
        group=groups[user.pw_gid].gr_name if user.pw_gid in groups else None,
        shell=user.pw_shell,
        has_group=has_group,
        other_groups=tuple(
            group.gr_name
            for group in groups.values()
            if service_user() in group.gr_mem and group.gr_name != service_user()
        ),
        has_password=has_password,
        twin=next(
            (other.pw_name for other in users if other.pw_uid == user.pw_uid and other.pw_name != service_user()), None
        ),
        free_uid=next(number for number in range(_FIRST_PERSON, 65_000) if number not in taken),
    )


def judge_user(facts: UserFacts) -> Iterator[Finding]:
    """Yields what gives the units' user more, or less, than it should have."""
    name = service_user()
    make = f"sudo systemd-sysusers {sysusers_file(current_instance())}"
    if facts.uid is None or not facts.has_group:
        noun = "user" if facts.uid is None else "group"
        yield _CHECK.fault(f"there is no {noun} {service_user()}, as whom every unit runs", make)
        return
    problems = []
    if facts.uid == 0 or facts.uid >= _FIRST_PERSON:
        problems.append(
            _CHECK.fault(
                f"the user {service_user()} has the number {facts.uid}, which is no system user's",
                f"sudo systemctl stop ibkr-gateway && sudo usermod -l {name}-person {name} && {make}",
            )
        )
    if facts.group != service_user():
        problems.append(
            _CHECK.fault(
                f"the group of the user {service_user()} is another one",
                f"sudo usermod -g {service_user()} {service_user()}",
            )
        )
    problems += [
        _CHECK.fault(
            (f"the user {service_user()} is in another group, and has its rights: ", Private(group)),
            (f"sudo gpasswd -d {service_user()} ", Private(group)),
        )
        for group in facts.other_groups
    ]
    if facts.has_password:
        problems.append(
            _CHECK.fault(
                f"one can log in as {service_user()} with a password", f"sudo usermod -p '!*' {service_user()}"
            )
        )
    if not facts.shell.endswith(("/nologin", "/false")):
        problems.append(
            _CHECK.fault(
                f"the user {service_user()} has a shell", f"sudo usermod -s /usr/sbin/nologin {service_user()}"
            )
        )
    if facts.twin is not None:
        problems.append(
            _CHECK.fault(
                (f"another user has the number of {service_user()}, and can do all that it can: ", Private(facts.twin)),
                (
                    # Nobody's number is changed while a process has it.
                    f"sudo systemctl stop ibkr-gateway && sudo usermod -u {facts.free_uid} ",
                    Private(facts.twin),
                    " && sudo systemctl start ibkr-gateway",
                ),
            )
        )
    yield from problems or [_CHECK.ok(f"{service_user()} is a system user, without a password and a shell")]


def check_users(subject: Subject) -> Iterator[Finding]:
    """Looks at the user of the units."""
    if not subject.is_installed:
        yield _CHECK.ok("no services are installed")
        return
    yield from judge_user(read_user())
