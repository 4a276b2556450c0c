"""Why Chromium ended, read from what it wrote."""

import os
import pwd
import tempfile
from contextlib import nullcontext
from pathlib import Path

import pytest

from ibkr_tools.login import start_failure
from ibkr_tools.login.browser_processes import BrowserPrograms, RunAs
from ibkr_tools.login.start_failure import read_complaint

PREFIX = "[1234:1234:1129/171644.345678:FATAL:zygote_host_impl_linux.cc(128)] "
MODULE = (
    "/usr/lib/x86_64-linux-gnu/gio/modules/libdconfsettings.so: cannot open shared object file: Too many open files"
)


@pytest.mark.parametrize(
    ("output", "meaning", "line"),
    [
        (MODULE, "may not open as many files", MODULE),
        (
            f"{MODULE}\n[1:1:ERROR:a.cc(1)] something else",
            "may not open as many files",
            MODULE,
        ),
        (
            "libnss3.so: cannot open shared object file: Cannot allocate memory",
            "too little memory",
            "libnss3.so: cannot open shared object file: Cannot allocate memory",
        ),
        (
            "chromium: error while loading shared libraries: libnss3.so: cannot open shared object file: No such file",
            "a library of Chromium is missing",
            "chromium: error while loading shared libraries: libnss3.so: cannot open shared object file: No such file",
        ),
        (f"{PREFIX}No usable sandbox! Update your kernel", "user namespaces", "No usable sandbox! Update your kernel"),
        (
            f"{PREFIX}Failed to move to new namespace: failed: errno = Resource temporarily unavailable",
            "no further process",
            "Failed to move to new namespace: failed: errno = Resource temporarily unavailable",
        ),
        (
            f"Failed to load module: cannot open shared object file\n{PREFIX}No usable sandbox!",
            "user namespaces",
            "No usable sandbox!",
        ),
    ],
)
def test_a_known_complaint(output: str, meaning: str, line: str) -> None:
    complaint = read_complaint(output)
    assert complaint.sign is not None
    assert meaning in complaint.sign.meaning
    assert complaint.line == line


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("", ""),
        ("first\nlast\n\n", "last"),
        (f"{PREFIX}Check failed: x\nlast", "Check failed: x"),
        ("[1:1:ERROR:a.cc(1)] Failed to adjust OOM score of renderer", "Failed to adjust OOM score of renderer"),
    ],
)
def test_an_unknown_complaint(output: str, line: str) -> None:
    complaint = read_complaint(output)
    assert complaint.sign is None
    assert complaint.line == line


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, whose files have another owner")
def test_a_profile_that_was_exchanged_for_a_link_is_not_given_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may lie in a directory of the browser's user: what root has made there may be another thing by now."""
    precious, link = tmp_path / "precious", tmp_path / "link"
    precious.mkdir()
    link.symlink_to(precious)
    monkeypatch.setattr(tempfile, "TemporaryDirectory", lambda **_: nullcontext(str(link)))
    programs = BrowserPrograms(browser=Path("/bin/false"), driver=Path("/bin/false"))
    run_as = RunAs(user=pwd.getpwnam("nobody"))
    is_started, _ = start_failure._start_alone(programs, run_as, {"TMPDIR": str(tmp_path)})
    assert is_started is False
    assert precious.stat().st_uid == 0
