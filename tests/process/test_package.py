"""The package of Debian: its scripts as far as no machine is changed; the booted machine has the rest."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT

DEBIAN = CHECKOUT / "debian"
SETUP = DEBIAN / "ibkr-tools-install"


def laid_out(root: Path) -> Path:
    """Returns the command for setting up, beside what it is installed with."""
    (root / "bin").mkdir()
    names = re.search(r"^for part in (.*); do$", (CHECKOUT / "bin/_package.sh").read_text(), re.MULTILINE)
    assert names is not None
    for name in names[1].split():
        shutil.copy2(CHECKOUT / f"bin/{name}.sh", root / "bin")
    (root / "bin/ibkr-tools-install").write_bytes(SETUP.read_bytes())
    (root / "bin/ibkr-tools-install").chmod(0o755)
    return root / "bin/ibkr-tools-install"


def run(*command: str | Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--gatway"], "unknown option: --gatway"),
        (["--gateway"], "--gateway needs a path"),
        (["--accept"], "--accept needs a SHA-256"),
        (["--gateway", "/nowhere.zip"], "/nowhere.zip: no such file or folder"),
        (["--gateway", "/dev/null"], "/dev/null: neither a file nor a folder"),
        (["--statements-only", "--simulator"], "--statements-only is without the gateway"),
        (["--instance"], "--instance: '' cannot be the name of an instance"),
        (["--instance", "../x"], "--instance: ../x cannot be the name of an instance"),
        (["--instance", "anna", "--simulator"], "--instance goes with --gateway and --accept only"),
        (["--instance", "anna", "--statements-only"], "--instance goes with --gateway and --accept only"),
        (["--browser"], "--browser: chrome-for-testing or system"),
        (["--browser", "firefox"], "--browser: chrome-for-testing or system"),
        (["--instance", "anna", "--browser", "system"], "--instance goes with --gateway and --accept only"),
        (["--instance", "anna", "--remove", "--browser", "system"], "--remove goes with --instance and --purge only"),
        (["--remove"], "--remove goes with --instance"),
        (["--remove", "--purge"], "--remove goes with --instance"),
        (["--instance", "anna", "--purge"], "--purge goes with --remove"),
        (["--instance", "anna", "--remove", "--accept", "0"], "--remove goes with --instance and --purge only"),
    ],
)
def test_mistakes_of_setup_are_refused_before_anything_is_changed(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    done = run(laid_out(tmp_path), *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--weels"], "unknown option: --weels"),
        (["--wheels"], "--wheels needs a path"),
        (["--wheels", "/nowhere"], "/nowhere: no such folder"),
        (["--output", "/dev/null"], "/dev/null: not a folder"),
    ],
)
def test_mistakes_of_building_are_refused(arguments: list[str], words: str) -> None:
    done = run(CHECKOUT / "bin/package", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_what_building_lacks_is_named_with_the_command_that_brings_it(tmp_path: Path) -> None:
    """As names of Debian's packages."""
    for name in ("bash", "dirname", "env"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    done = run(CHECKOUT / "bin/package", PATH=str(tmp_path))
    assert done.returncode == 69
    assert "missing on this machine: dpkg-dev debhelper lintian" in done.stderr
    assert "sudo apt-get install dpkg-dev debhelper lintian" in done.stderr


def test_the_man_page_of_setup_has_the_options_that_there_are() -> None:
    text = SETUP.read_text()
    usage = text.split("<<'USAGE'")[1].split("\nUSAGE")[0]
    known = set(re.findall(r"^ +(?:-h \| )?(--[a-z-]+)\)", text, re.MULTILINE))
    page = (
        (DEBIAN / "ibkr-tools-install.8").read_text().replace("\\-", "-").split(".SH OPTIONS")[1].split(".SH EXIT")[0]
    )
    assert set(re.findall(r"^  (?:-h, )?(--[a-z-]+)", usage, re.MULTILINE)) == known
    assert set(re.findall(r"--[a-z-]+", page)) == known


def test_man_warns_of_nothing_in_the_page_of_setup() -> None:
    page = DEBIAN / "ibkr-tools-install.8"
    done = run("man", "--warnings", "--local-file", page, LC_ALL="C.UTF-8", MANWIDTH="80", TERM="dumb")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_maintainer_scripts_are_whole_without_the_files_of_the_package(tmp_path: Path) -> None:
    """What they share with bin/ is in them: when the package is purged, nothing else of it is there."""
    for name in ("postinst", "prerm", "postrm"):
        text = (DEBIAN / f"{name}.in").read_text()
        script = tmp_path / name
        script.write_text(
            re.sub(r"^#INCLUDE (.*)$", lambda match: (CHECKOUT / match[1]).read_text(), text, flags=re.MULTILINE)
        )
        code = [line for line in script.read_text().splitlines() if not line.lstrip().startswith("#")]
        assert not [line for line in code if re.match(r"\s*(source|\.) ", line) and "os-release" not in line], name
        # With an argument that a script has nothing to do for, it only defines what it has.
        if name != "prerm":
            done = run("bash", script, "nothing")
            assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), name
