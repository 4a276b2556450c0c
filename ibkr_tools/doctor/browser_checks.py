"""Chromium and its driver: there, of one version, and with the namespaces that its sandbox is made of."""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ibkr_tools.config.schema import Config
from ibkr_tools.doctor.finding import Finding, Findings, Private, Text
from ibkr_tools.doctor.subject import Subject, Told, ask, other_program, program_environment
from ibkr_tools.errors import BrowserUnavailable
from ibkr_tools.login.browser_processes import INSTALL_COMMAND, BrowserPrograms, find_browser_programs
from ibkr_tools.login.start_failure import read_complaint

_BROWSER, _SANDBOX = Findings("browser"), Findings("browser's sandbox")

_REINSTALL = "sudo apt-get install --reinstall -y chromium chromium-driver"


def check_browser(subject: Subject, config: Config) -> Iterator[Finding]:
    """Asks both programs for their version."""
    try:
        programs = find_browser_programs(config.login.browser, config.login.driver)
    except BrowserUnavailable as error:
        yield _BROWSER.fault(Private(error.message), INSTALL_COMMAND.replace("install ", "install -y ", 1))
        return
    environment = program_environment(subject)
    told = [ask([os.fspath(program), "--version"], environment) for program in (programs.browser, programs.driver)]
    is_configured = config.login.browser is not None or config.login.driver is not None
    remedy = other_program(subject, programs.driver.name, _REINSTALL, is_configured=is_configured)
    yield from judge_versions(programs, *told, remedy=remedy)


def judge_versions(programs: BrowserPrograms, browser: Told, driver: Told, *, remedy: Text) -> Iterator[Finding]:
    """Yields whether both start, and fit each other; `remedy` brings others in their place."""
    versions = []
    for program, told in ((programs.browser, browser), (programs.driver, driver)):
        version = re.search(r"\d+(?:\.\d+){2,}", told.output)
        if told.status != 0 or version is None:
            complaint = read_complaint(told.complaint)
            meaning = complaint.sign.meaning if complaint.sign else "it says no version"
            yield _BROWSER.fault((f"{program.name} does not start: {meaning}: ", Private(complaint.line)), remedy)
            return
        versions.append(version[0])
    majors = {version.partition(".")[0] for version in versions}
    if len(majors) > 1:
        yield _BROWSER.fault(f"Chromium {versions[0]} and its driver {versions[1]} are of different versions", remedy)
    else:
        yield _BROWSER.ok(f"Chromium {versions[0]}, chromedriver {versions[1]}")


@dataclass(frozen=True, kw_only=True)
class NamespaceFacts:
    """What the kernel says about user namespaces; None of what it has no word for.

    `works`: the units' user was just given one; None: that could not be tried.
    """

    maximum: int | None
    unprivileged: int | None
    apparmor: int | None
    works: bool | None


def read_namespaces(subject: Subject, proc: Path = Path("/proc/sys")) -> NamespaceFacts:
    """Asks the kernel, and for a user namespace, which goes with the process that has it."""
    works = None
    if os.geteuid() != 0:
        told = ask(["unshare", "--user", "true"], program_environment(subject))
        works = None if told.status is None else told.status == 0
    return NamespaceFacts(
        maximum=_number(proc / "user/max_user_namespaces"),
        unprivileged=_number(proc / "kernel/unprivileged_userns_clone"),
        apparmor=_number(proc / "kernel/apparmor_restrict_unprivileged_userns"),
        works=works,
    )


def judge_namespaces(facts: NamespaceFacts, *, has_profile: bool) -> Iterator[Finding]:
    """Yields whether Chromium's sandbox can be made; `has_profile`: AppArmor permits it to Chromium by name."""

    def persistent(setting: str) -> str:
        return f"echo {setting} | sudo tee /etc/sysctl.d/60-ibkr-tools.conf && sudo sysctl -w {setting}"

    if facts.maximum == 0:
        yield _SANDBOX.fault("the kernel gives no user namespaces", persistent("user.max_user_namespaces=15000"))
    elif facts.unprivileged == 0:
        yield _SANDBOX.fault(
            "the kernel gives user namespaces to root alone", persistent("kernel.unprivileged_userns_clone=1")
        )
    elif facts.apparmor == 1 and facts.works is False:
        if has_profile:
            yield _SANDBOX.ok("AppArmor permits user namespaces to Chromium")
        else:
            yield _SANDBOX.fault(
                "AppArmor permits Chromium no user namespaces",
                persistent("kernel.apparmor_restrict_unprivileged_userns=0"),
            )
    elif facts.works is False:
        yield _SANDBOX.fault(
            "no user namespace can be made here", "unshare --user true; sysctl user.max_user_namespaces"
        )
    else:
        yield _SANDBOX.ok("user namespaces can be made")


def check_namespaces(subject: Subject) -> Iterator[Finding]:
    """Looks whether Chromium's sandbox can be made."""
    profiles = Path("/etc/apparmor.d")
    has_profile = any(profiles.glob("*chrom*")) if _is_directory(profiles) else False
    yield from judge_namespaces(read_namespaces(subject), has_profile=has_profile)


def _is_directory(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode) and os.access(path, os.R_OK)
    except OSError:
        return False


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
