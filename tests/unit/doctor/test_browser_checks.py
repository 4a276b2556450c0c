"""Chromium, its driver and its sandbox."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ibkr_tools.doctor.browser_checks import (
    NamespaceFacts,
    judge_age,
    judge_changes,
    judge_namespaces,
    judge_versions,
    read_changes,
)
from ibkr_tools.doctor.finding import CheckVerdict
from ibkr_tools.doctor.subject import Told
from ibkr_tools.login import chrome_for_testing
from ibkr_tools.login.browser_processes import BrowserPrograms
from ibkr_tools.login.chrome_for_testing import ChromeForTesting

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


def test_a_report_does_not_name_a_browser_of_somebodys_own() -> None:
    for path, name in (("/home/anna/annas-chrome", "…"), ("/usr/lib/chromium/chromium", "chromium")):
        programs = BrowserPrograms(browser=Path(path), driver=PROGRAMS.driver)
        (found,) = judge_versions(programs, told("", 1), DRIVER, remedy="mend")
        assert found.message_text(is_public=True).startswith(f"{name} does not start: ")


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


def test_a_profile_of_its_own_is_what_chrome_for_testing_lacks() -> None:
    """The installation brings it; the restriction of everything else stays."""
    facts = NamespaceFacts(maximum=9, unprivileged=1, apparmor=1, works=False)
    (found,) = judge_namespaces(facts, has_profile=False, remedy="sudo ./bin/install")
    assert (found.verdict, found.remedy_text()) == (CheckVerdict.FAULT, "sudo ./bin/install")
    (found,) = judge_namespaces(facts, has_profile=True, remedy="sudo ./bin/install")
    assert found.verdict is CheckVerdict.OK


def test_a_browser_whose_files_have_changed_is_a_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its remedy fetches it again; what cannot be read counts as changed."""
    chrome = ChromeForTesting(folder=tmp_path)
    monkeypatch.setattr(chrome_for_testing, "find_chrome", lambda: chrome)
    found = judge_changes(("chrome/a.pak", "chrome/b.pak", "chromedriver"))
    assert found.verdict is CheckVerdict.FAULT
    assert found.message_text() == "Chrome for Testing: chrome/a.pak and 2 more: not what was installed"
    assert found.remedy_text() == "sudo ./bin/install --browser chrome-for-testing"
    assert read_changes(chrome) == ("SHA256SUMS",)
    (tmp_path / "SHA256SUMS").mkdir()
    assert read_changes(chrome) == ("SHA256SUMS",)


def test_an_old_browser_from_google_is_a_notice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its age is that of its hashes; the remedy renews it."""
    chrome = ChromeForTesting(folder=tmp_path)
    monkeypatch.setattr(chrome_for_testing, "find_chrome", lambda: chrome)
    installed_at = datetime(2026, 1, 1, tzinfo=UTC)
    (tmp_path / "SHA256SUMS").touch()
    os.utime(tmp_path / "SHA256SUMS", times=(installed_at.timestamp(),) * 2)
    assert chrome.installed_at() == installed_at
    assert judge_age(timedelta(days=59, hours=23)) is None
    found = judge_age(timedelta(days=60))
    assert found is not None
    assert found.verdict is CheckVerdict.NOTICE
    assert "60 days ago" in found.message_text()
    assert found.remedy_text() == "sudo ./bin/install --browser chrome-for-testing"
