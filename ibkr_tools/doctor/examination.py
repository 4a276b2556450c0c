"""All checks, from the bottom of the chain to its top: what comes first may be the reason for what follows.

Root looks at what only root may see, and becomes the user of the units before it looks into their directories.
"""

import os
import pwd
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ibkr_tools import privileges
from ibkr_tools.config.check import UNIT_PATH
from ibkr_tools.config.schema import Config
from ibkr_tools.doctor import (
    browser_checks,
    config_checks,
    gateway_checks,
    journal_checks,
    machine_checks,
    online_checks,
    ownership_checks,
    program_checks,
    session_checks,
    unit_checks,
    user_checks,
)
from ibkr_tools.doctor.finding import Finding, Findings
from ibkr_tools.doctor.subject import Extent, Subject
from ibkr_tools.errors import IbkrError


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check; `as_root`: root does it before it becomes the user of the units."""

    name: str
    run: Callable[[], Iterable[Finding]]
    as_root: bool = False


def checks(subject: Subject) -> list[Check]:
    """Returns the checks that apply to what is there."""
    return [
        Check(name="python", run=program_checks.check_python),
        Check(name="libraries", run=program_checks.check_libraries),
        Check(name="clock", run=lambda: machine_checks.judge_clock(machine_checks.read_clock(subject)), as_root=True),
        Check(name="time zones", run=machine_checks.check_time_zones),
        Check(name="memory", run=partial(_memory, subject)),
        Check(name="disk", run=partial(machine_checks.check_disk, subject)),
        Check(name="shared memory", run=machine_checks.check_shared_memory),
        Check(name="certificates", run=machine_checks.check_certificates),
        Check(name="users", run=partial(user_checks.check_users, subject), as_root=True),
        Check(name="files", run=partial(ownership_checks.check_roots_paths, subject), as_root=True),
        Check(name="files", run=partial(ownership_checks.check_own_paths, subject)),
        Check(name="unit files", run=partial(unit_checks.check_manifest, subject), as_root=True),
        Check(name="unit files", run=partial(unit_checks.check_files, subject), as_root=True),
        Check(name="sandbox", run=partial(unit_checks.check_sandbox, subject), as_root=True),
        Check(name="configuration", run=partial(config_checks.check_config, subject), as_root=True),
        Check(name="secrets", run=partial(config_checks.check_secrets, subject), as_root=True),
        *(_gateway_checks(subject, subject.config or _fallback()) if subject.has_gateway else ()),
        *([Check(name="units", run=partial(_units, subject), as_root=True)] if subject.is_installed else ()),
        Check(name="status", run=partial(session_checks.check_status, subject)),
        Check(name="login budget", run=partial(session_checks.check_budget, subject)),
        Check(name="alerts", run=partial(session_checks.check_outbox, subject)),
        Check(name="Flex token", run=partial(session_checks.check_token, subject)),
        *(
            [Check(name="online", run=partial(online_checks.check_online, subject, subject.config))]
            if subject.config is not None and subject.is_online
            else ()
        ),
        Check(name="journal", run=partial(journal_checks.check_journal, subject), as_root=True),
    ]


def _fallback() -> Config:
    """Returns what holds where nothing is configured, or the configuration is wrong."""
    return Config(username="", account="")


def _gateway_checks(subject: Subject, config: Config) -> list[Check]:
    return [
        Check(name="Java", run=partial(gateway_checks.check_java, subject, config)),
        Check(name="gateway", run=partial(gateway_checks.check_distribution, subject, config)),
        Check(name="TLS", run=partial(gateway_checks.check_tls, subject)),
        Check(name="port", run=partial(gateway_checks.check_port, subject, config), as_root=True),
        Check(name="packet filter", run=partial(_filter, subject, config), as_root=True),
        Check(name="browser", run=partial(browser_checks.check_browser, subject, config)),
        Check(name="browser's sandbox", run=partial(browser_checks.check_namespaces, subject, config)),
    ]


def _memory(subject: Subject) -> Iterator[Finding]:
    return machine_checks.judge_memory(machine_checks.read_memory(), extent=subject.extent)


def _filter(subject: Subject, config: Config) -> Iterator[Finding]:
    is_other = False
    if subject.is_installed and subject.is_booted:
        states = unit_checks.read_states([unit_checks.GATEWAY], subject.instance)
        state = states.get(unit_checks.GATEWAY)
        is_other = state is not None and "IBKR_TOOLS_PACKET_FILTER=other" in state.environment.split()
    return gateway_checks.check_filter(subject, config, is_other=is_other)


def _units(subject: Subject) -> Iterator[Finding]:
    if not subject.is_booted:
        yield Findings("units").unseen("systemd does not run here")
        return
    names = unit_checks.installed_units(subject)
    states = unit_checks.read_states(names, subject.instance)
    if not states:
        yield Findings("units").unseen("systemd does not answer")
        return
    yield from unit_checks.judge_states(states, subject.extent)
    yield from unit_checks.judge_timers(states, subject.extent)


def examine(subject: Subject) -> list[Finding]:
    """Does all checks and returns what they found, in their order; changes nothing but who this process is.

    A check that cannot be done says so, and the others go on.
    """
    if subject.is_installed:
        os.environ["PATH"] = UNIT_PATH
    planned = checks(subject)
    results = dict[int, list[Finding]]()
    for number, check in enumerate(planned):
        if check.as_root:
            results[number] = _done(check)
    obstacle = _become_service_user(subject)
    for number, check in enumerate(planned):
        if not check.as_root:
            results[number] = [Findings(check.name).unseen(obstacle)] if obstacle else _done(check)
    found = [finding for number in range(len(planned)) for finding in results[number]]
    return [finding if finding.check in _SHARED else finding.in_names_of(subject.instance) for finding in found]


_SHARED = frozenset({"python", "libraries", "unit files", "sandbox"})
"""Checks of what all instances share, and of units that are named in full: their commands are not an instance's."""


def _done(check: Check) -> list[Finding]:
    try:
        return list(check.run())
    except PermissionError:
        return [Findings(check.name).unseen("this user may not look at it")]
    except OSError as error:
        return [Findings(check.name).unseen(f"cannot be looked at: {error.strerror}")]
    except (IbkrError, ValueError, ArithmeticError, RecursionError) as error:
        return [Findings(check.name).unseen(f"cannot be looked at ({type(error).__name__})")]


def _become_service_user(subject: Subject) -> str | None:
    """Has root become the user of the units, or who owns the directories; returns why it cannot."""
    if not subject.is_root:
        return None
    try:
        if subject.is_installed and subject.extent in {Extent.FULL, Extent.STATEMENTS}:
            privileges.switch_user(pwd.getpwnam(privileges.service_user()))
        else:
            privileges.drop_root(subject.directories)
        os.chdir(Path("/"))
    except KeyError:
        return f"root looks at it as {privileges.service_user()}, and there is no such user"
    except (IbkrError, OSError):
        return "it belongs to another user, and root looks at nothing there"
    return None
