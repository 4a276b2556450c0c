"""Chromium, its driver and its sandbox."""

from pathlib import Path

import pytest

from ibkr_tools.doctor.browser_checks import NamespaceFacts, judge_namespaces, judge_versions
from ibkr_tools.doctor.finding import CheckVerdict
from ibkr_tools.doctor.subject import Told
from ibkr_tools.login.browser_processes import BrowserPrograms

PROGRAMS = BrowserPrograms(browser=Path("/usr/bin/chromium"), driver=Path("/usr/bin/chromedriver"))


def told(output: str, status: int | None = 0, complaint: str = "") -> Told:
    return Told(status=status, output=output, complaint=complaint)


BROWSER, DRIVER = told("Chromium 142.0.1.2 built on Debian"), told("ChromeDriver 142.0.7.7 (abc)")


@pytest.mark.parametrize(
    ("browser", "driver", "says"),
    [
        (BROWSER, DRIVER, None),
        (BROWSER, told("ChromeDriver 141.0.1.2"), "different versions"),
        (
            told("", 127, "x: error while loading shared libraries: libnss3.so"),
            DRIVER,
            "a library of Chromium is missing",
        ),
        (BROWSER, told("", None, "no answer in time"), "chromedriver does not start"),
        (told("hello"), DRIVER, "no version"),
    ],
)
def test_both_start_and_fit_each_other(browser: Told, driver: Told, says: str | None) -> None:
    (found,) = judge_versions(PROGRAMS, browser, driver, remedy="mend")
    assert (found.verdict, found.remedy_text()) == (
        (CheckVerdict.OK, None) if says is None else (CheckVerdict.FAULT, "mend")
    )
    assert (says or "") in found.message_text()


@pytest.mark.parametrize(
    ("facts", "setting"),
    [
        (NamespaceFacts(maximum=1000, unprivileged=1, apparmor=0, works=True), None),
        (NamespaceFacts(maximum=None, unprivileged=None, apparmor=None, works=None), None),
        (NamespaceFacts(maximum=0, unprivileged=1, apparmor=0, works=False), "user.max_user_namespaces=15000"),
        (NamespaceFacts(maximum=9, unprivileged=0, apparmor=0, works=False), "kernel.unprivileged_userns_clone=1"),
        (
            NamespaceFacts(maximum=9, unprivileged=1, apparmor=1, works=False),
            "kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        (NamespaceFacts(maximum=9, unprivileged=1, apparmor=0, works=False), "unshare"),
    ],
)
def test_the_sandbox_needs_user_namespaces(facts: NamespaceFacts, setting: str | None) -> None:
    (found,) = judge_namespaces(facts, has_profile=False)
    assert found.verdict is (CheckVerdict.OK if setting is None else CheckVerdict.FAULT)
    assert (setting or "") in (found.remedy_text() or "")


def test_a_profile_of_apparmor_permits_them() -> None:
    facts = NamespaceFacts(maximum=9, unprivileged=1, apparmor=1, works=False)
    (found,) = judge_namespaces(facts, has_profile=True)
    assert found.verdict is CheckVerdict.OK
