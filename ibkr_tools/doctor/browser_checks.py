"""Chromium and its driver: there, of one version, and with the namespaces that its sandbox is made of."""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from ibkr_tools.config.schema import Config
from ibkr_tools.doctor.finding import Finding, Findings, Private, Text
from ibkr_tools.doctor.subject import Subject, Told, ask, other_program, program_environment
from ibkr_tools.errors import BrowserUnavailable
from ibkr_tools.installation import LAYOUT
from ibkr_tools.login import chrome_for_testing
from ibkr_tools.login.browser_processes import BrowserPrograms, find_browser_programs, install_command
from ibkr_tools.login.chrome_for_testing import ChromeForTesting
from ibkr_tools.login.start_failure import read_complaint

_BROWSER, _SANDBOX = Findings("browser"), Findings("browser's sandbox")
_RENEW_AFTER = timedelta(days=60)
"""Two of Chrome's versions, each of which mends holes of the one before: https://chromiumdash.appspot.com/schedule."""
_KNOWN_NAME = re.compile("chrome|chromium|chromium-browser|google-chrome|google-chrome-stable|chromedriver")


def check_browser(subject: Subject, config: Config) -> Iterator[Finding]:
    """Asks both programs for their version; Chrome for Testing has to be whole and not old."""
    try:
        programs = find_browser_programs(config.login.browser, config.login.driver)
    except BrowserUnavailable as error:
        yield _BROWSER.fault(Private(error.message), _install(again=False))
        return
    chrome = _chrome_in_use(config)
    if chrome is not None and (changed := read_changes(chrome)):
        yield judge_changes(changed)
        return
    environment = program_environment(subject)
    told = [ask([os.fspath(program), "--version"], environment) for program in (programs.browser, programs.driver)]
    is_configured = config.login.browser is not None or config.login.driver is not None
    remedy = other_program(subject, programs.driver.name, _install(again=True), is_configured=is_configured)
    yield from judge_versions(programs, *told, remedy=remedy)
    if chrome is not None and (notice := judge_age(subject.now - chrome.installed_at())):
        yield notice


def _install(*, again: bool) -> str:
    return install_command(again=again).replace("apt-get install", "apt-get install -y")


def _chrome_in_use(config: Config) -> ChromeForTesting | None:
    is_configured = config.login.browser is not None or config.login.driver is not None
    return None if is_configured else chrome_for_testing.find_chrome()


def read_changes(chrome: ChromeForTesting) -> tuple[str, ...]:
    """Returns the files that are not as they were installed; what cannot be read is one of them."""
    try:
        return tuple(chrome.changed_files())
    except OSError as error:
        return (Path(error.filename or chrome.folder).name,)


def judge_changes(changed: tuple[str, ...]) -> Finding:
    """Returns the fault of a browser whose files have changed; `changed` is not empty."""
    more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    return _BROWSER.fault(f"Chrome for Testing: {changed[0]}{more}: not what was installed", _install(again=True))


def judge_age(age: timedelta) -> Finding | None:
    """Returns the notice of a Chrome for Testing that nobody has renewed for long."""
    if age < _RENEW_AFTER:
        return None
    return _BROWSER.notice(
        f"Chrome for Testing was installed {age.days} days ago, and nothing but an installation renews it",
        _install(again=True),
    )


def judge_versions(programs: BrowserPrograms, browser: Told, driver: Told, *, remedy: Text) -> Iterator[Finding]:
    """Yields whether both start, and fit each other; `remedy` brings others in their place."""
    versions = []
    for program, told in ((programs.browser, browser), (programs.driver, driver)):
        version = re.search(r"\d+(?:\.\d+){2,}", told.output)
        if told.status != 0 or version is None:
            complaint = read_complaint(told.complaint)
            meaning = complaint.sign.meaning if complaint.sign else "it says no version"
            name = (
                program.name if program.is_relative_to("/usr") or program.is_relative_to("/opt") else Private(program)
            )
            yield _BROWSER.fault((name, f" does not start: {meaning}: ", Private(complaint.line)), remedy)
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


def judge_namespaces(facts: NamespaceFacts, *, has_profile: bool, remedy: str | None = None) -> Iterator[Finding]:
    """Yields whether Chromium's sandbox can be made.

    Args:
        facts: what the kernel says.
        has_profile: whether AppArmor permits it to this browser by name.
        remedy: the command that brings such a profile; None: there is none, so the restriction has to go.
    """

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
                remedy or persistent("kernel.apparmor_restrict_unprivileged_userns=0"),
            )
    elif facts.works is False:
        yield _SANDBOX.fault(
            "no user namespace can be made here", "unshare --user true; sysctl user.max_user_namespaces"
        )
    else:
        yield _SANDBOX.ok("user namespaces can be made")


def check_namespaces(subject: Subject, config: Config) -> Iterator[Finding]:
    """Looks whether Chromium's sandbox can be made."""
    facts = read_namespaces(subject)
    if _chrome_in_use(config) is not None:
        # Ubuntu has profiles for other Chromes, in other places.
        has_profile = chrome_for_testing.PROFILE.exists()
        yield from judge_namespaces(facts, has_profile=has_profile, remedy=LAYOUT.install)
        return
    profiles = Path("/etc/apparmor.d")
    has_profile = any(profiles.glob("*chrom*")) if _is_directory(profiles) else False
    yield from judge_namespaces(facts, has_profile=has_profile)


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
