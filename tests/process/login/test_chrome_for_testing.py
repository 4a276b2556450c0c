"""bin/_browser.sh with the real Selenium Manager and a mirror of our own: what is taken, refused, and kept."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import selenium

from ibkr_tools.login.chrome_for_testing import PROFILE, find_chrome
from tests.support.checkout import CHECKOUT
from tests.support.chrome_mirror import ChromeMirror, Entry
from tests.support.terminal import Terminal

OLD, NEW, NEWER = "155.0.7000.1", "156.0.8078.9", "156.0.8078.10"
MANAGER = Path(selenium.__file__).parent / "webdriver/common/linux-x86_64/selenium-manager"
FETCH_UID = 700_000 + os.getpid() % 100_000
"""Of this run alone: all that runs as that user is ended."""

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="files of root, and a user that downloads, take root")
FETCH = "choose_browser; fetch_chrome ENVIRONMENT; use_browser"


@dataclass
class Machine:
    """Where a browser is installed, apart from this machine's own places."""

    root: Path

    @property
    def home(self) -> Path:
        """Where the versions are."""
        return self.root / "opt/chrome-for-testing"

    @property
    def manager(self) -> Path:
        """Selenium Manager, of the environment of the program."""
        return next((self.root / "environment").rglob("linux-x86_64")) / "selenium-manager"

    @property
    def profile(self) -> Path:
        """The profile of AppArmor."""
        return self.root / "apparmor.d/ibkr-tools-chrome"

    def program(self, name: str, text: str) -> None:
        """Puts a program before this machine's own."""
        path = self.root / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def script(self, commands: str, browser: str = "") -> str:
        """Returns what runs functions of the script as bin/install does."""
        return f"""
            set -euo pipefail
            umask 022
            source {CHECKOUT}/bin/_common.sh
            source {CHECKOUT}/bin/_installed.sh
            HOME_DIR={self.root}/opt CHROME_HOME={self.home}
            source {CHECKOUT}/bin/_browser.sh
            USERNS_SETTING={self.root}/userns CHROME_PROFILE={self.profile} OS_RELEASE={self.root}/os-release
            browser={browser!r} statements_only=no FETCH_UID={FETCH_UID}
            {commands.replace("ENVIRONMENT", str(self.root / "environment"))}
        """

    def run(self, commands: str, browser: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
        """Runs them."""
        script = self.script(commands, browser)
        path = f"{self.root}/bin:{os.environ['PATH']}"
        environment = {"PATH": path, "LC_ALL": "C.UTF-8", **variables}
        return subprocess.run(
            ["bash", "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    def fetch(self, mirror: ChromeMirror, browser: str = "chrome-for-testing") -> "subprocess.CompletedProcess[str]":
        """Installs the newest version of a mirror."""
        return self.run(FETCH, browser, **mirror.environment)

    def current(self) -> str | None:
        """Returns the version that logins would use."""
        chrome = find_chrome(self.home)
        return None if chrome is None else chrome.folder.name


@pytest.fixture
def machine() -> Iterator[Machine]:
    """Not below pytest's own folder, into which nobody else can look."""
    root = Path(tempfile.mkdtemp(prefix="ibkr-tools-chrome-"))
    root.chmod(0o755)
    packages = root / "environment/lib/python3.11/site-packages/selenium/webdriver/common/linux-x86_64"
    packages.mkdir(parents=True)
    shutil.copy2(MANAGER, packages)
    (root / "environment/bin").mkdir()
    (root / "environment/bin/python").symlink_to(sys.executable)
    (root / "opt").mkdir()
    yield Machine(root)
    shutil.rmtree(root)


def leftovers(machine: Machine) -> list[str]:
    """Returns what is beside the versions and the link to one."""
    return sorted(path.name for path in (machine.root / "opt").iterdir() if path != machine.home)


@NEEDS_ROOT
def test_it_is_downloaded_and_belongs_to_root(machine: Machine) -> None:
    """Browser and driver of one version; nobody else can write, nothing has the set-user-ID bit; hashes are noted."""
    with ChromeMirror(NEW, more={"chrome-linux64/open.pak": Entry(b"", 0o100666)}) as mirror:
        done = machine.run(FETCH, "chrome-for-testing", https_proxy=mirror.url, **mirror.environment)
    assert (done.returncode, done.stderr) == (0, "")
    chrome = find_chrome(machine.home)
    assert chrome is not None
    assert chrome.folder == machine.home / NEW
    for path in (machine.home, *machine.home.rglob("*")):
        entry = path.lstat()
        assert (entry.st_uid, entry.st_gid) == (0, 0), path
        assert path.is_symlink() or not entry.st_mode & 0o7022, path
    told = [subprocess.check_output([path, "--version"], text=True) for path in (chrome.browser, chrome.driver)]
    assert all(NEW in line for line in told)
    assert list(chrome.changed_files()) == []
    assert leftovers(machine) == []
    # No figures of use go to plausible.io, where Selenium Manager would send them through the proxy.
    assert all(path.endswith((".json", ".zip")) for path in mirror.requests)


@NEEDS_ROOT
def test_it_is_renewed_and_taken_back(machine: Machine) -> None:
    """Not downloaded twice; never exchanged for an older one; `--browser system` removes it."""
    with ChromeMirror(NEW) as mirror:
        machine.fetch(mirror)
        mirror.requests.clear()
        again = machine.fetch(mirror, browser="")
        assert "is the newest" in again.stdout
        assert not [path for path in mirror.requests if path.endswith(".zip")]
        mirror.version = NEWER
        assert machine.fetch(mirror, browser="").returncode == 0
        assert machine.current() == NEWER
        assert [path.name for path in machine.home.iterdir() if path.is_dir() and not path.is_symlink()] == [NEWER]
        mirror.version = OLD
        machine.fetch(mirror, browser="")
        assert machine.current() == NEWER
        mirror.requests.clear()
        assert machine.fetch(mirror, browser="system").returncode == 0
        assert not machine.home.exists()
        # What was not asked for is not fetched again.
        assert machine.fetch(mirror, browser="").returncode == 0
    assert (mirror.requests, leftovers(machine)) == ([], [])


@NEEDS_ROOT
def test_a_version_that_a_login_uses_stays(machine: Machine) -> None:
    with ChromeMirror(NEW) as mirror:
        machine.fetch(mirror)
        # A script's program is its shell: a copy of a real one stands for Chrome.
        shutil.copy2("/usr/bin/sleep", machine.home / NEW / "chrome/busy")
        with subprocess.Popen([machine.home / NEW / "chrome/busy", "60"]) as login:
            mirror.version = NEWER
            told = machine.fetch(mirror)
            login.kill()
        assert "a login runs" in told.stdout
        assert (machine.home / NEW).is_dir()
        machine.fetch(mirror)
    assert (machine.current(), (machine.home / NEW).exists()) == (NEWER, False)


def hostile_library() -> Entry:
    """Returns a program that wants a library which exists nowhere."""
    return Entry(Path("/usr/bin/id").read_bytes().replace(b"libselinux.so.1", b"libnothere.so.1"), 0o100755)


REFUSED = {
    "interrupted": (ChromeMirror(NEW, cut=True), "could not be downloaded: "),
    "lies": (ChromeMirror(NEW, inside=OLD), f"chrome {NEW} does not start, or is another version"),
    "driver": (ChromeMirror(NEW, driver="156.0.8078.1"), "no browser and driver of one version"),
    "name": (ChromeMirror(NEW, more={"chrome-linux64/a\nb": Entry(b"")}), "more, or less, than ordinary files"),
    "library": (
        ChromeMirror(NEW, more={"chrome-linux64/chrome": hostile_library()}),
        f"Chrome for Testing {NEW} lacks libraries on this machine: libnothere.so.1",
    ),
}


@NEEDS_ROOT
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_what_was_asked_for_is_refused(machine: Machine, case: str) -> None:
    """One line and 69; where a version is there, a warning, and that one stays."""
    trouble, says = REFUSED[case]
    with trouble as mirror:
        done = machine.fetch(mirror)
        assert (done.returncode, leftovers(machine), machine.home.exists()) == (69, [], False)
        assert says in done.stderr.splitlines()[0]
        assert len(done.stderr.splitlines()) == 2
        with ChromeMirror(OLD) as good:
            assert machine.fetch(good).returncode == 0
        done = machine.fetch(mirror)
    assert (done.returncode, machine.current(), leftovers(machine)) == (0, OLD, [])
    assert says in done.stderr
    assert done.stderr.splitlines()[0].endswith(f"; Chrome for Testing {OLD} stays")
    assert len(done.stderr.splitlines()) == 1


@NEEDS_ROOT
@pytest.mark.parametrize("name", ["../../../../../../planted", "/planted", "chrome-linux64/../../planted"])
def test_no_archive_leads_out_of_its_folder(machine: Machine, name: str) -> None:
    """Whatever is made of such a name, it is in the browser's own folder, or the whole is refused."""
    with ChromeMirror(NEW, more={name: Entry(b"x", 0o100666)}) as mirror:
        done = machine.fetch(mirror)
    assert done.returncode in {0, 69}
    planted = [path for path in machine.root.rglob("planted") if not path.is_relative_to(machine.home / NEW / "chrome")]
    assert planted == []
    assert not Path("/planted").exists()
    assert leftovers(machine) == []


@NEEDS_ROOT
def test_offline(machine: Machine) -> None:
    """The password of a proxy, or of a mirror, stands in no line."""
    places = ("http_proxy", "HTTPS_PROXY", "SE_PROXY", "SE_BROWSER_MIRROR_URL", "SE_DRIVER_MIRROR_URL")
    proxy = dict.fromkeys(places, "http://me:secret@127.0.0.1:9/")
    done = machine.run(FETCH, "chrome-for-testing", **proxy)
    assert done.returncode == 69
    assert done.stderr.startswith("error: Chrome for Testing could not be downloaded: ")
    assert len(done.stderr.splitlines()) == 2
    assert "secret" not in done.stderr + done.stdout
    with ChromeMirror(NEW) as mirror:
        # What leads to the network is passed on: by the proxy, here the mirror itself, a name is reached.
        done = machine.run(
            FETCH,
            "chrome-for-testing",
            **dict.fromkeys(mirror.environment, "http://mirror.invalid/"),
            http_proxy=mirror.url,
        )
        assert done.returncode == 0, done.stderr
    assert "http://mirror.invalid/last-known-good-versions-with-downloads.json" in mirror.requests
    done = machine.run(FETCH, **proxy)
    assert (done.returncode, machine.current()) == (0, NEW)
    assert len(done.stderr.splitlines()) == 1


@NEEDS_ROOT
@pytest.mark.parametrize(
    "change",
    ["echo x >>{}/chrome/chrome", "rm {}/chrome/chrome_sandbox", "touch {}/chrome/more", "rm {}/SHA256SUMS"],
)
def test_what_has_changed_is_found_and_fetched_again(machine: Machine, change: str) -> None:
    with ChromeMirror(NEW) as mirror:
        machine.fetch(mirror)
        subprocess.run(["sh", "-c", change.format(machine.home / NEW)], check=True)
        chrome = find_chrome(machine.home)
        assert chrome is not None
        assert len(list(chrome.changed_files())) == 1
        done = machine.fetch(mirror, browser="")
    assert "is not what was installed" in done.stderr
    assert (done.returncode, list(chrome.changed_files()), leftovers(machine)) == (0, [], [])
    subprocess.run(["sh", "-c", change.format(machine.home / NEW)], check=True)
    # Offline it is not used as it is.
    assert machine.fetch(mirror, browser="").returncode == 69


@NEEDS_ROOT
@pytest.mark.parametrize("plant", ["ln -s /etc/shadow", "ln /etc/hostname", "mkfifo", "touch $'a\\nb'"])
def test_only_ordinary_files_are_taken_over(machine: Machine, plant: str) -> None:
    """By whatever way something else has come there."""
    made = f"{machine.root}/cache/chrome/linux64/{NEW}"
    prepare = f"""
        mkdir -p {made} {machine.root}/cache/chromedriver/linux64/{NEW}
        touch {made}/chrome {machine.root}/cache/chromedriver/linux64/{NEW}/chromedriver
    """
    take = f"_take_over {machine.root}/cache {NEW} {machine.root}/tree"
    link = machine.root / "hostname"
    link.write_text("")
    words = plant.replace("/etc/hostname", str(link))
    done = machine.run(f"{prepare} cd {made}; {words!s} {'' if 'touch' in plant else 'planted'}; {take}")
    assert (done.returncode, (machine.root / "tree").exists()) == (1, False)
    assert machine.run(f"rm -r {machine.root}/cache; {prepare} {take}").returncode == 0


@NEEDS_ROOT
@pytest.mark.parametrize(
    ("browser", "driver"),
    [
        (f"/usr/{NEW}/chrome", f"CACHE/chromedriver/linux64/{NEW}/chromedriver"),
        (f"CACHE/chrome/linux64/../../{NEW}/chrome", f"CACHE/chromedriver/linux64/{NEW}/chromedriver"),
        (f"CACHE/chrome/linux64/{NEW}/chrome", f"/usr/{NEW}/chromedriver"),
        ("CACHE/chrome/linux64/new/chrome", "CACHE/chromedriver/linux64/new/chromedriver"),
    ],
)
def test_only_the_cache_is_taken_from(machine: Machine, browser: str, driver: str) -> None:
    """Whatever Selenium Manager says that it has found."""
    paths = f'"browser_path": "{browser}", "driver_path": "{driver}"'.replace("CACHE", "'$2'")
    answer = f'echo \'{{"result": {{"code": 0, "message": "", {paths}}}}}\''
    machine.manager.write_text(f'#!/bin/sh\nwhile [ "$1" != --cache-path ]; do shift; done\n{answer}\n')
    done = machine.run(FETCH, "chrome-for-testing")
    assert done.returncode == 69
    assert "no browser and driver of one version" in done.stderr


@NEEDS_ROOT
@pytest.mark.parametrize("does", ["exit 1", "echo '{}'", "echo 1", "kill -9 $$"])
def test_a_selenium_manager_that_gives_no_answer(machine: Machine, does: str) -> None:
    """One line, as when there is no network; also where there is none at all."""
    machine.manager.write_text(f"#!/bin/sh\n{does}\n")
    done = machine.run(FETCH, "chrome-for-testing")
    assert done.returncode == 69
    assert done.stderr.startswith(
        "error: Chrome for Testing could not be downloaded: Selenium Manager gives no answer\n"
    )
    machine.manager.unlink()
    assert machine.run(FETCH, "chrome-for-testing").stderr == done.stderr


@NEEDS_ROOT
def test_what_is_downloaded_runs_as_nobody_else(machine: Machine) -> None:
    """As a user of its own, without capabilities, and with no variable of root's."""
    witness = Entry(
        f"#!/bin/sh\n/usr/bin/id -u >&2; /usr/bin/env >&2\necho Chrome {NEW}\n".encode(),
        0o100755,
    )
    with ChromeMirror(NEW, more={"chrome-linux64/chrome": witness}) as mirror:
        done = machine.run(FETCH, "chrome-for-testing", SECRET="hidden", **mirror.environment)
        assert done.returncode == 0, done.stderr
    shown = machine.run(f"as_fetcher {machine.home}/current/chrome/chrome", SECRET="hidden")
    assert shown.stderr.splitlines()[0] == str(FETCH_UID)
    assert "hidden" not in shown.stderr
    limits = machine.run("as_fetcher /bin/cat /proc/self/status").stdout
    assert "CapEff:\t0000000000000000" in limits
    assert "CapBnd:\t0000000000000000" in limits
    assert "NoNewPrivs:\t1" in limits


@NEEDS_ROOT
@pytest.mark.parametrize("says", [f"Chrome {NEW}", "nothing"])
def test_nothing_of_it_goes_on_to_run(machine: Machine, says: str) -> None:
    """What it leaves behind is ended, and is not waited for; it could change the next download."""
    leaves = f"#!/bin/sh\n/usr/bin/setsid /bin/sleep 1000 &\n/bin/sleep 1000 &\necho {says}\n"
    witness = Entry(leaves.encode(), 0o100755)
    with ChromeMirror(NEW, more={"chrome-linux64/chrome": witness}) as mirror:
        done = machine.run(FETCH, "chrome-for-testing", **mirror.environment)
    assert done.returncode == (69 if says == "nothing" else 0), done.stderr
    assert machine.run('processes_of "$FETCH_UID" live').stdout == ""


@NEEDS_ROOT
def test_what_an_interrupted_download_has_left_is_ended_first(machine: Machine) -> None:
    machine.run("as_fetcher /bin/sh -c '/bin/sleep 10619 >/dev/null 2>&1 &'")
    assert "(sleep)" in machine.run('processes_of "$FETCH_UID" live').stdout
    machine.manager.write_text(f"#!/bin/sh\n/bin/grep -lzx 1061[9] /proc/[0-9]*/cmdline >{machine.root}/seen\n")
    (machine.root / "seen").touch()
    (machine.root / "seen").chmod(0o666)
    machine.run(FETCH, "chrome-for-testing")
    assert (machine.root / "seen").read_text() == ""


@NEEDS_ROOT
def test_what_is_downloaded_cannot_type_into_roots_terminal(machine: Machine) -> None:
    """TIOCSTI: what is typed so is run by root's shell when the installation is over."""
    line = "as_fetcher /bin/sh -c 'test -t 0 && echo reached; exec 3<>/dev/tty && echo reached' || echo ended"
    with Terminal(["bash", "-c", machine.script(line)], {"PATH": os.environ["PATH"]}) as terminal:
        terminal.wait_for("ended")
        assert terminal.end() == 0
    assert "reached" not in terminal.text


@NEEDS_ROOT
def test_libraries_come_from_the_list_of_google(machine: Machine) -> None:
    """Where one is missing: the libraries and fonts of deb.deps; no programs, nor what is no dependency."""
    machine.program("apt-get", f'echo "$@" >>{machine.root}/asked')
    deps = (
        b"fonts-liberation\nlibnss3 (>= 2:3.35)\nlibcurl3-gnutls | libcurl4\nwget\n--fix\nlib$(x)\n"
        # The second of two would be installed where the first is not to be had.
        b"libnone | openssh-server\nlibnone openssh-server\nlibnone (>= 1) | wget\nlibnone | libpam-x-\n"
    )
    more = {"chrome-linux64/chrome": hostile_library(), "chrome-linux64/deb.deps": Entry(deps)}
    with ChromeMirror(NEW, more=more) as mirror:
        assert machine.fetch(mirror).returncode == 69
    asked = (machine.root / "asked").read_text().splitlines()
    assert asked[-1] == (
        "-qq satisfy --no-install-recommends --no-remove -y "
        "fonts-liberation,libnss3 (>= 2:3.35),libcurl3-gnutls | libcurl4"
    )


@NEEDS_ROOT
@pytest.mark.parametrize(("deps", "fails"), [(b"libnss3\n", "true"), (b"wget\n", "false"), (b"\xff\n", "false")])
def test_libraries_that_cannot_be_had_are_named(machine: Machine, deps: bytes, fails: str) -> None:
    """Whatever apt-get comes to, or the list has in it."""
    machine.program("apt-get", f"if {fails}; then echo E: nothing there >&2; exit 100; fi")
    more = {"chrome-linux64/chrome": hostile_library(), "chrome-linux64/deb.deps": Entry(deps)}
    with ChromeMirror(NEW, more=more) as mirror:
        done = machine.fetch(mirror)
    assert done.returncode == 69
    assert f"error: Chrome for Testing {NEW} lacks libraries on this machine: libnothere.so.1\n" in done.stderr


@pytest.mark.parametrize("processor", ["aarch64", "armv7l", "riscv64", "i686"])
def test_there_is_none_for_other_processors(machine: Machine, processor: str) -> None:
    """Debian's Chromium is named; what nobody asked for is not refused."""
    machine.program("uname", f"echo {processor}")
    done = machine.run("choose_browser", "chrome-for-testing")
    assert done.returncode == 69
    assert processor in done.stderr
    assert "apt-get install chromium chromium-driver" in done.stderr
    assert machine.run("choose_browser").returncode == 0


def test_ubuntu_is_told_of_it(machine: Machine) -> None:
    """Instead of a snap; with the option no package of Ubuntu's is wanted."""
    (machine.root / "os-release").write_text('NAME="Ubuntu"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n')
    ask = (
        "has_browser() { false; }; choose_browser; mapfile -t missing < <(missing_browser_packages);"
        ' refuse_snap "${missing[@]}"'
    )
    done = machine.run(ask)
    assert done.returncode == 69
    assert "snap" in done.stderr
    assert "sudo ./bin/install --browser chrome-for-testing" in done.stderr
    assert "sudo ibkr-tools-install --browser chrome-for-testing" in machine.run(f"use_layout package; {ask}").stderr
    assert machine.run(ask, "chrome-for-testing").returncode == 0
    (machine.root / "os-release").write_text("ID=debian\n")
    assert machine.run(ask).returncode == 0


@pytest.mark.parametrize(
    ("distribution", "packages"),
    [
        ("debian", "chromium | google-chrome-stable, chromium-driver"),
        ("raspbian", "chromium | google-chrome-stable, chromium-driver"),
        ("ubuntu", "fonts-liberation"),
    ],
)
def test_a_package_recommends_no_snap(machine: Machine, distribution: str, packages: str) -> None:
    """What is recommended is installed along with it."""
    (machine.root / "os-release").write_text(f"ID={distribution}\nID_LIKE=debian\n")
    assert machine.run("recommended_browser").stdout == f"{packages}\n"


@NEEDS_ROOT
@pytest.mark.parametrize("setting", ["1", "0", None])
def test_apparmor_permits_its_sandbox_where_that_is_restricted(machine: Machine, setting: str | None) -> None:
    """By a profile for its own place, which goes with it; a profile of somebody else's stays."""
    if setting is not None:
        (machine.root / "userns").write_text(f"{setting}\n")
    machine.program("apparmor_parser", f'echo "$@" >>{machine.root}/loaded')
    with ChromeMirror(NEW) as mirror:
        machine.fetch(mirror)
        assert machine.profile.exists() == (setting == "1")
        if setting != "1":
            return
        text = machine.profile.read_text()
        assert f"{machine.home}/*/chrome/chrome flags=(unconfined)" in text
        assert "  userns,\n" in text
        machine.fetch(mirror, browser="system")
        assert not machine.profile.exists()
        loaded = (machine.root / "loaded").read_text()
        assert loaded.splitlines() == [f"--replace --write-cache {machine.profile}", f"--remove {machine.profile}"]
        machine.profile.write_text("profile mine {}\n")
        assert "not ours" in machine.fetch(mirror).stderr
        machine.fetch(mirror, browser="system")
    assert machine.profile.read_text() == "profile mine {}\n"


@NEEDS_ROOT
def test_uninstalling_leaves_nothing_of_it(machine: Machine) -> None:
    """Also of a download that was interrupted."""
    (machine.root / "userns").write_text("1\n")
    machine.program("apparmor_parser", "true")
    with ChromeMirror(NEW) as mirror:
        machine.fetch(mirror)
    (machine.root / "opt/.chrome.AbCdEf/cache").mkdir(parents=True)
    done = machine.run(f"source {CHECKOUT}/bin/_purge.sh; remove_chrome")
    assert (done.returncode, done.stderr) == (0, "")
    assert (list((machine.root / "opt").iterdir()), machine.profile.exists()) == ([], False)


def test_statements_need_none(machine: Machine) -> None:
    done = machine.run("statements_only=yes; choose_browser", "chrome-for-testing")
    assert done.returncode == 2
    assert machine.run("statements_only=yes; choose_browser; echo $browser").stdout == "none\n"


def test_the_names_are_those_of_the_script() -> None:
    assert f"\nCHROME_PROFILE={PROFILE}\n" in (CHECKOUT / "bin/_browser.sh").read_text()
    assert " CHROME_HOME=$HOME_DIR/chrome-for-testing\n" in (CHECKOUT / "bin/_installed.sh").read_text()
