"""Which browser a login takes, and the command that installs one."""

import hashlib
import platform
from pathlib import Path

import pytest

from ibkr_tools.errors import BrowserUnavailable
from ibkr_tools.installation import LOCAL, PACKAGE, Layout
from ibkr_tools.login import browser_processes, chrome_for_testing
from ibkr_tools.login.browser_processes import find_browser_programs, install_command
from ibkr_tools.login.chrome_for_testing import ChromeForTesting, find_chrome


@pytest.fixture
def chrome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ChromeForTesting:
    """An installed version, in place of what this machine has."""
    folder = tmp_path / "156.0.8078.9"
    (folder / "chrome/locales").mkdir(parents=True)
    names = ("chrome/chrome", "chrome/locales/de.pak", "chromedriver")
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    sums = "".join(f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
    (folder / "SHA256SUMS").write_text(sums)
    (tmp_path / "current").symlink_to(folder.name)
    found = find_chrome(tmp_path)
    assert found is not None
    monkeypatch.setattr(chrome_for_testing, "find_chrome", lambda: found)
    return found


def test_logins_use_it_where_it_is_installed(chrome: ChromeForTesting) -> None:
    """By the path of the version: when the link leads to the next one, a login that runs keeps its own."""
    programs = find_browser_programs()
    assert (programs.browser, programs.driver) == (chrome.browser, chrome.driver)
    assert "current" not in programs.browser.parts


def test_what_the_configuration_names_comes_first(chrome: ChromeForTesting) -> None:
    programs = find_browser_programs(browser="/bin/sh", driver="/bin/true")
    assert programs.browser == Path("/bin/sh")
    assert chrome.browser != programs.browser


def test_a_part_of_it_that_is_missing_is_named(chrome: ChromeForTesting) -> None:
    """It is no reason to take another browser unasked."""
    chrome.driver.unlink()
    with pytest.raises(BrowserUnavailable, match="chromedriver: not there") as caught:
        find_browser_programs()
    assert caught.value.hint == "sudo ./bin/install --browser chrome-for-testing"


def test_without_it_there_is_none(tmp_path: Path) -> None:
    assert find_chrome(tmp_path) is None
    assert find_chrome(tmp_path / "nowhere") is None
    (tmp_path / "current").write_text("a file")
    assert find_chrome(tmp_path) is None


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("chrome/chrome", lambda path: path.write_text("other")),
        ("chrome/locales/de.pak", lambda path: path.unlink()),
        ("chrome/locales/fr.pak", lambda path: path.touch()),
        ("chrome/link", lambda path: path.symlink_to("chrome")),
        ("chromedriver", lambda path: path.write_text("")),
    ],
)
def test_each_change_of_a_file_is_found(chrome: ChromeForTesting, name: str, change: object) -> None:
    assert list(chrome.changed_files()) == []
    assert callable(change)
    change(chrome.folder / name)
    assert list(chrome.changed_files()) == [name]


@pytest.mark.parametrize(
    ("distribution", "layout", "command"),
    [
        ("debian", LOCAL, "sudo apt-get install --no-install-recommends chromium chromium-driver chromium-sandbox"),
        ("debian", PACKAGE, "sudo apt-get install --no-install-recommends chromium chromium-driver chromium-sandbox"),
        ("ubuntu", LOCAL, "sudo ./bin/install --browser chrome-for-testing"),
        ("ubuntu", PACKAGE, "sudo ibkr-tools-install --browser chrome-for-testing"),
    ],
)
def test_the_command_that_installs_a_browser(
    monkeypatch: pytest.MonkeyPatch, distribution: str, layout: Layout, command: str
) -> None:
    monkeypatch.setattr(chrome_for_testing, "find_chrome", lambda: None)
    monkeypatch.setattr(browser_processes, "LAYOUT", layout)
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"ID": distribution})
    assert install_command() == command
    monkeypatch.setattr(browser_processes, "BROWSER_NAMES", ("/nowhere/chromium",))
    with pytest.raises(BrowserUnavailable, match="no Chromium") as caught:
        find_browser_programs()
    assert caught.value.hint == command


def test_where_nothing_says_which_distribution_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> dict[str, str]:
        raise FileNotFoundError

    monkeypatch.setattr(chrome_for_testing, "find_chrome", lambda: None)
    monkeypatch.setattr(platform, "freedesktop_os_release", missing)
    assert install_command(again=True).endswith("chromium-sandbox --reinstall")
