"""Which layers of tests this machine can run: a missing need skips a layer loudly, and fails it where CI is set."""

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest


def _has(*programs: str) -> Callable[[], str | None]:
    def missing() -> str | None:
        absent = [program for program in programs if shutil.which(program) is None]
        return f"missing: {', '.join(absent)}" if absent else None

    return missing


def no_namespaces(*kinds: str, user: str | None = None) -> str | None:
    """Says why no process here gets namespaces of its own, None if it does: a plain container allows none.

    `kinds` are options of unshare(1), `user` whose process it is.
    """
    try:
        done = subprocess.run(
            ["unshare", *kinds, "--fork", "true"], user=user, capture_output=True, text=True, check=False, timeout=30
        )
    except OSError as error:
        return f"unshare: {error.strerror}"
    return None if done.returncode == 0 else f"{done.stderr.strip()} ({' '.join(kinds)})"


def _sandbox() -> str | None:
    """Says why Chromium's own sandbox does not work here: it wants namespaces, or a helper with root's rights."""
    helper = Path("/usr/lib/chromium/chrome-sandbox")
    if helper.exists() and helper.stat().st_mode & stat.S_ISUID and no_namespaces("--net", "--pid") is None:
        return None
    reason = no_namespaces("--user", "--net", "--pid", user="nobody" if os.geteuid() == 0 else None)
    return reason and f"Chromium's sandbox does not work here: {reason}"


def _browser() -> str | None:
    return _has("chromium", "chromedriver")() or _sandbox()


def _gateway() -> str | None:
    return _has("java", "npm", "Xvfb")() or _browser()


def _system() -> str | None:
    if os.geteuid() != 0:
        return "needs root"
    if not Path("/usr/lib/systemd/systemd").exists():
        return "missing: systemd"
    return _has("systemd-nspawn", "nsenter", "nft")() or no_namespaces("--mount", "--net", "--pid")


NEEDS: dict[str, Callable[[], str | None]] = {
    "browser": _browser,
    "gateway": _gateway,
    "system": _system,
    "shells": _has("bash", "zsh", "fish", "man"),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Takes what the system tests boot, and how much chaos there shall be; see tests/system/test_5_chaos.py."""
    parser.getgroup("system").addoption(
        "--machine-root", type=Path, default=Path("/"), help="the root file system that the system tests boot"
    )
    group = parser.getgroup("chaos")
    group.addoption("--chaos-rounds", type=int, default=0, help="random faults instead of the short list")
    group.addoption("--chaos-seed", type=int, default=1, help="the same seed deals the same faults")
    group.addoption("--chaos-only", default="", help="only faults whose names contain one of these, comma between")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Orders the layers from fast to slow, and marks those that cannot run."""
    order = ("unit", "process", "simulator", "browser", "gateway", "system")

    def layer(item: pytest.Item) -> int:
        parts = item.path.relative_to(config.rootpath).parts
        return next((number for number, name in enumerate(order) if name in parts), len(order))

    items.sort(key=layer)
    for name, need in NEEDS.items():
        if (reason := need()) is None:
            continue
        for item in items:
            if item.get_closest_marker(name) is None:
                continue
            if os.environ.get("CI"):
                raise pytest.UsageError(f"CI skips nothing, but the {name} tests cannot run: {reason}")
            item.add_marker(pytest.mark.skip(reason=f"{name} tests: {reason}"))


class NothingSkipped:
    """Fails the run if a test was skipped where CI is set."""

    def __init__(self) -> None:
        self.skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remembers each test that was skipped."""
        if report.skipped:
            self.skipped.append(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Turns a run with skipped tests into a failed one."""
        if self.skipped:
            print(f"\nCI skips nothing, but these were skipped: {', '.join(self.skipped)}")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_configure(config: pytest.Config) -> None:
    """Watches for skipped tests where CI is set."""
    if os.environ.get("CI"):
        config.pluginmanager.register(NothingSkipped())
