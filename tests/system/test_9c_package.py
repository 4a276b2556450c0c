"""The package of Debian, built for the booted machine. Runs when everything else is gone."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.chrome_mirror import PROGRAMS, ChromeMirror
from tests.support.distribution import cache_folder, locked
from tests.system.machine import CHECKOUT, CONFIG, DISTRIBUTION, INSTALL, PASSWORD, PASSWORD_FILE, WHEELS, Machine, now
from tests.system.test_8_chrome_for_testing import FIRST, REAL, as_ubuntu, install
from tests.system.test_8_doctor import RELOAD, Fault, examined, find_each

pytestmark = [pytest.mark.system, pytest.mark.timeout(1800)]
"""Building takes minutes where nothing of it is kept."""

PACKAGE = "/srv/packages/ibkr-tools.deb"
OLDER = "/srv/packages/older.deb"
HOME = "/usr/lib/ibkr-tools"
UNITS = "/usr/lib/systemd/system"
APT = "apt-get -q -y"
STATE = "/var/lib/ibkr-tools"
FAST = "IBKR_TOOLS_COMPRESSION='gzip -z1'"
"""Before bin/package: xz takes most of the time of a build."""

ANNAS_PASSWORD = "/etc/ibkr-tools@anna/password"
USERS = ("ibkr", "ibkr-anna")
NO_SERVICES = "services come with sudo ./bin/install in a checkout of ibkr-tools"
NOWHERE = "http://127.0.0.1:5999"
FAULTS = (
    Fault(plant=f"sed -i s/TasksMax=512/TasksMax=9/ {UNITS}/ibkr-login.service && {RELOAD}", check="unit files",
          says="ibkr-login.service is not what was installed"),
    Fault(plant=f"rm {UNITS}/ibkr-watchdog.service && {RELOAD}", check="unit files",
          says="ibkr-watchdog.service is missing"),
    Fault(plant=f"chmod o+w {HOME}/venv/bin/ibkr-tools", check="files", says="bin/ibkr-tools"),
    Fault(plant="usermod -s /bin/bash ibkr", check="users", says="shell"),
)  # fmt: skip


def contents(machine: Machine, home: str, library: str) -> dict[str, str]:
    """Returns the files of an installation with the sum of each, by their names in bin/install's terms.

    Left out is what says how, where and when it was installed: what pip records, and programs of other packages.
    """
    listing = machine.run(
        f"cd {home}/venv/ && find . -type f ! -name '*.pyc' ! -name RECORD ! -name direct_url.json ! -path './bin/*'"
        f" ! -path './pages/*' ! -name pyvenv.cfg -exec sha256sum {{}} +;"
        f" cd {library}; for file in $(find ./systemd ./sysusers.d ./tmpfiles.d -path '*ibkr*' -type f); do"
        f" echo \"$(sed 's|{home}|/opt/ibkr-tools|g' $file | sha256sum | cut -d' ' -f1) $file\"; done"
    )
    listed = machine.run(f"cat {home}/manifest 2>/dev/null || dpkg -L ibkr-tools").split()
    pages = [path for path in listed if re.search("/share/(man/man[157]|bash-completion|zsh|fish)/.*[^/]$", path)]
    return {
        **{name: digest for digest, name in (line.split() for line in listing.splitlines())},
        # Debian's are compressed. What has no dot in its name is a directory, or the script of a shell.
        **{Path(page).name.removesuffix(".gz"): "page" for page in pages if "ibkr-tools" in Path(page).name},
    }


@pytest.fixture(scope="module")
def by_script(machine: Machine) -> Iterator[dict[str, str]]:
    """What bin/install lays down; it is gone afterwards, and the two packages are in /srv/packages."""
    machine.run(INSTALL, timeout_s=240)
    found = contents(machine, "/opt/ibkr-tools", "/usr/local/lib")
    put_packages(machine)
    refused = machine.container.run(f"{APT} install {PACKAGE}", check=False)
    assert "ibkr-tools is installed from a checkout on this machine" in refused.stdout + refused.stderr
    assert refused.returncode != 0
    machine.run(f"dpkg --purge ibkr-tools 2>/dev/null; {CHECKOUT}/bin/uninstall --purge", timeout_s=60)
    yield found
    machine.run("dpkg --purge ibkr-tools", timeout_s=60)


def put_packages(machine: Machine) -> None:
    """Puts the package there, and the same with an older version and one unit more.

    It is built once for what the checkout and the machine's release are.
    """
    sources = machine.run(
        f"cd {CHECKOUT}; . /etc/os-release; echo $VERSION_ID; dpkg-query -W debhelper dpkg lintian;"
        " find ibkr_tools systemd bin debian clientportal docs *.* LICENSE -type f ! -name '*.pyc' -exec sha256sum {} +"
        " | sort"
    )
    kept = cache_folder() / f"package-{hashlib.sha256(sources.encode()).hexdigest()[:16]}.deb"
    with locked("package"):
        if not kept.exists():
            with machine.timed("bin/package, with lintian"):
                machine.run(f"{FAST} {CHECKOUT}/bin/package --wheels {WHEELS} --output /srv/built", timeout_s=1200)
            (built,) = (machine.container.root / "srv/built").glob("*.deb")
            for former in sorted(cache_folder().glob("package-*.deb"), key=lambda path: path.stat().st_mtime)[:-3]:
                former.unlink()
            kept.write_bytes(built.read_bytes())
    machine.container.copy_in(kept, PACKAGE)
    machine.run(
        f"""cd /srv/packages; dpkg-deb --raw-extract {PACKAGE} older
        sed -i 's/^Version: .*/Version: 0.0.1+older/' older/DEBIAN/control
        sed -i 's/^__version__ = .*/__version__ = "0.0.1"/' \
            older{HOME}/venv/lib/python3*/site-packages/ibkr_tools/__init__.py
        printf '[Service]\\nExecStart=/usr/bin/sleep 600\\n[Install]\\nWantedBy=multi-user.target\\n' \
            >older{UNITS}/ibkr-former.service
        dpkg-deb --root-owner-group -Znone --build older {OLDER}; rm -r older""",
        timeout_s=240,
    )


def test_what_it_lays_down_is_what_the_script_lays_down(machine: Machine, by_script: dict[str, str]) -> None:
    """The same files, in the places that Debian's policy has for a package; it starts and enables nothing."""
    with machine.timed("apt install ./ibkr-tools.deb"):
        machine.run(f"{APT} install {PACKAGE}", timeout_s=240)
    assert contents(machine, HOME, "/usr/lib") == by_script
    assert machine.run("head -n 1 /usr/bin/ibkr-tools").endswith("/python -I")
    units = machine.run("systemctl list-unit-files --no-legend 'ibkr-*'").splitlines()
    assert len(units) == len([name for name in by_script if name.count("/") == 3 and "/system/ibkr-" in name])
    assert {line.split()[1] for line in units} <= {"disabled", "static"}
    assert machine.run("systemctl list-units --no-legend --plain 'ibkr-*'") == ""
    assert machine.code(f"test -e {CONFIG}") != 0
    assert machine.run(f"stat -c '%a %U:%G' {STATE} /etc/ibkr-tools") == "750 ibkr:ibkr\n750 root:ibkr"
    told = machine.container.run(
        f"cd {UNITS}; systemd-analyze verify --man=no --recursive-errors=no $PWD/ibkr-*.{{service,path,socket,timer}}",
        check=False,
    )
    assert (told.returncode, told.stderr) == (0, "")
    # Debian's check of files against what the package says.
    assert machine.run("dpkg --verify ibkr-tools") == ""


def test_two_more_commands_lead_to_positions(machine: Machine, by_script: dict[str, str]) -> None:
    """Whoever has only the package sets up the simulator, and sees its positions."""
    report = json.loads(machine.container.run("ibkr-tools doctor --json", check=False).stdout)
    assert "sudo ibkr-tools-install" in [entry["remedy"] for entry in report["checks"]]
    refused = machine.container.run("ibkr-tools setup --simulator", check=False)
    assert (refused.returncode, "sudo ibkr-tools-install --simulator --gateway" in refused.stderr) == (78, True), (
        refused
    )
    with machine.timed("package: setup and first positions"):
        told = machine.run(f"ibkr-tools-install --simulator --gateway {DISTRIBUTION}", timeout_s=240)
        shown = machine.run("ibkr-tools setup --simulator", timeout_s=240)
    assert told.splitlines()[-1].split() == ["next:", "sudo", "ibkr-tools", "setup", "--simulator"]
    assert "at boot: ibkr-gateway is enabled" in told
    assert "./bin/install" not in told
    assert shown.splitlines()[-1].startswith("net liquidation value")
    assert machine.run("ibkr-tools fetch positions --jq '.positions | length'", timeout_s=90) == "237"
    machine.wait_status()
    # Again it changes nothing, and enables nothing that was disabled.
    machine.run("systemctl disable ibkr-gateway")
    gateway = machine.main_process("ibkr-gateway.service")
    machine.run("ibkr-tools-install", timeout_s=60)
    assert machine.run("systemctl is-enabled ibkr-gateway || true") == "disabled"
    assert machine.main_process("ibkr-gateway.service") == gateway
    machine.run("systemctl enable ibkr-gateway")
    refused = machine.container.run(INSTALL, check=False)
    assert refused.returncode == 78
    assert "installed on this machine as a package of Debian" in refused.stderr
    assert machine.code(f"{CHECKOUT}/bin/uninstall --purge") == 78


def test_the_doctor_knows_where_a_package_has_its_files(machine: Machine, by_script: dict[str, str]) -> None:
    """It finds nothing on a healthy machine; what it says of a fault mends that."""
    machine.run(
        "command -v sudo || { printf '%s\\n' '#!/bin/sh' 'exec \"$@\"' >/usr/bin/sudo; chmod +x /usr/bin/sudo; }"
    )
    assert examined(machine) == []
    find_each(machine, FAULTS)


def test_a_browser_from_google_is_downloaded_by_the_same_command(machine: Machine, by_script: dict[str, str]) -> None:
    """Where Ubuntu has none, which is said first; logins use it; it stays for what follows."""
    mirror = ChromeMirror(FIRST, programs=REAL)
    machine.container.in_network(mirror.bind)
    with as_ubuntu(machine):
        told = install(machine, command="ibkr-tools-install")
        assert told.startswith("69\n")
        assert "sudo ibkr-tools-install --browser chrome-for-testing" in told
        with mirror:
            told = install(machine, "--browser chrome-for-testing", mirror, command="ibkr-tools-install")
        assert told.startswith("0\n"), told
        # Nothing was left to log in with but what was downloaded.
        moment = now()
        machine.drop_session()
        machine.wait_back(moment)
        assert examined(machine) == []
    # The mirror's programs lead there still.
    machine.run(f"ln -s {Path(PROGRAMS[0]).parent} {Path(REAL[0]).parent}; ln -s {PROGRAMS[1]} {REAL[1]}")
    assert machine.run("dpkg --verify ibkr-tools") == ""


def test_another_user_is_added_and_removed(machine: Machine, by_script: dict[str, str]) -> None:
    """By the same command, with the units that the package has; anna stays for what follows."""
    told = machine.run("ibkr-tools-install --instance anna", timeout_s=120)
    assert "with port 5001" in told
    assert "sudo ibkr-tools --instance anna setup" in told
    assert "./bin" not in told
    # Nothing answers there: its gateway runs, and no login gets anywhere.
    config = {"username": "x", "password": "x", "account": "U1234567", "gateway": {"port": 5001, "upstream": NOWHERE}}
    machine.container.run("cat >/etc/ibkr-tools@anna/config.json", stdin=json.dumps(config))
    machine.run("ibkr-tools-install --instance anna; ibkr-tools --instance anna pause", timeout_s=120)
    assert machine.run(f"stat -c '%a %U' {ANNAS_PASSWORD}") == "600 root"
    assert machine.run("systemctl is-enabled ibkr-gateway@anna") == "enabled"
    machine.run("systemctl start ibkr-gateway@anna", timeout_s=90)
    machine.run("ibkr-tools-install --instance bob", timeout_s=120)
    told = machine.run("ibkr-tools-install --instance bob --remove", timeout_s=60)
    assert "(sudo ibkr-tools-install --remove --instance bob --purge removes them)" in told
    assert machine.code("test -s /etc/ibkr-tools@bob/config.json -a ! -e /etc/sysusers.d/ibkr-tools@bob.conf") == 0
    machine.run("ibkr-tools-install --instance bob --remove --purge", timeout_s=60)
    assert machine.code("getent passwd ibkr-bob") == 2
    assert machine.run("find /etc /run /var/lib -ignore_readdir_race -xdev -name '*@bob*'") == ""
    told = machine.container.run("ibkr-tools-install --instance bob --remove", check=False).stderr
    assert "there is no instance bob on this machine\n       There: anna." in told
    assert machine.is_active("ibkr-gateway@anna.service")
    assert machine.is_active("ibkr-gateway.service")


def test_down_and_up(machine: Machine, by_script: dict[str, str]) -> None:
    """What ran is restarted, what was stopped or disabled stays so; a password in the configuration is moved."""
    machine.run("systemctl disable ibkr-gateway")
    moment, anna = now(), machine.main_process("ibkr-gateway@anna.service")
    snapshot = machine.run("ibkr-tools fetch positions --save >/dev/null; ibkr-tools show positions -f csv")
    machine.run(f"{APT} --allow-downgrades install {OLDER}", timeout_s=240)
    assert machine.run("ibkr-tools --version") == "ibkr-tools 0.0.1"
    machine.wait_back(moment)
    assert machine.run("ibkr-tools show positions -f csv") == snapshot
    assert machine.run("systemctl is-enabled ibkr-gateway || true") == "disabled"
    assert machine.main_process("ibkr-gateway@anna.service") not in {0, anna}
    machine.run("rm /etc/sysusers.d/ibkr-tools@anna.conf; touch /etc/sysusers.d/ibkr-tools@anna.conf")
    machine.run("systemctl enable --now ibkr-former; systemctl stop ibkr-gateway", timeout_s=60)
    machine.run(f"""sed -i '1a "password": "hunter22",' {CONFIG}""")
    told = machine.run(f"{APT} install {PACKAGE}", timeout_s=240)
    assert f"the password was moved from config.json to {PASSWORD_FILE}" in told
    assert machine.run(f"cat {PASSWORD_FILE}") == "hunter22"
    assert machine.run("ibkr-tools --version") != "ibkr-tools 0.0.1"
    assert not machine.is_active("ibkr-gateway.service")
    assert not machine.is_active("ibkr-former.service")
    assert machine.is_active("ibkr-gateway@anna.service")
    assert machine.run(f"cd {HOME}/chrome-for-testing; readlink current; current/chrome/chrome --version").split() == [
        *(FIRST, "Google", "Chrome", "for", "Testing", FIRST),
    ]
    assert "ibkr-anna" in machine.run("cat /etc/sysusers.d/ibkr-tools@anna.conf")
    assert machine.code("test -L /etc/systemd/system/multi-user.target.wants/ibkr-former.service") != 0
    machine.run(f"echo {PASSWORD} >{PASSWORD_FILE}")
    machine.start()


def test_removed_it_keeps_data(machine: Machine, by_script: dict[str, str]) -> None:
    """Everything is stopped and gone, the browser from Google too, but configuration, data and user; installed again it
    goes on."""
    machine.run("systemctl enable ibkr-gateway")
    uids = {machine.uid(), int(machine.run("id -u ibkr-anna"))}
    machine.run(f"{APT} remove ibkr-tools; rm {Path(REAL[0]).parent} {REAL[1]}", timeout_s=120)
    assert [process for process in machine.container.processes() if process.uid in uids] == []
    assert (
        machine.code(f"test -e {HOME} -o -e /usr/bin/ibkr-tools -o -e /run/ibkr-tools -o -e /run/ibkr-tools@anna") != 0
    )
    assert machine.run("systemctl list-units --all --no-legend --plain 'ibkr-*' --state=active,failed") == ""
    for kept in (
        CONFIG,
        PASSWORD_FILE,
        f"{STATE}/snapshots/latest.json",
        f"{STATE}/login/login_log.json",
        ANNAS_PASSWORD,
    ):
        assert machine.code(f"test -s {kept}") == 0, kept
    machine.run(f"{APT} install {PACKAGE}", timeout_s=240)
    assert machine.run("systemctl is-enabled ibkr-gateway ibkr-gateway@anna") == "enabled\nenabled"
    assert not machine.is_active("ibkr-gateway.service")
    machine.start()


def test_purged_it_leaves_nothing(machine: Machine, by_script: dict[str, str]) -> None:
    """Configuration, data, links and users go, of every instance; a process of a user stops it, and is named."""
    machine.run("d=/etc/systemd/system/ibkr-gateway.service.d; mkdir -p $d; touch $d/a.conf")
    machine.run("systemd-run --quiet --unit=straggler --property=User=ibkr-anna sleep 600")
    told = machine.container.run(f"{APT} purge ibkr-tools", check=False, timeout_s=120)
    machine.run("systemctl stop straggler")
    assert told.returncode != 0
    assert "processes of the user ibkr-anna still run" in told.stderr + told.stdout
    assert machine.code(f"test -s {PASSWORD_FILE}") == 0
    machine.run(f"{APT} purge ibkr-tools", timeout_s=120)
    names = r"\( -name 'ibkr*' -o -name '*-ibkr*' \)"
    places = "/etc /opt /run /usr/lib /usr/bin /usr/sbin /usr/share /usr/local /var/lib"
    assert machine.run(f"find {places} -xdev {names} ! -path '/run/host/*' || true") == ""
    assert [machine.code(f"getent {kind} {name}") for kind in ("passwd", "group") for name in USERS] == [2] * 4
    assert Path(PACKAGE).name in machine.run("ls /srv/packages")


def test_pipx_brings_the_command_and_the_library_alone(machine: Machine) -> None:
    """Into a person's own home, with what it says that it depends on; what wants a service says so in one line."""
    # pipx begins with a pip of its own; Debian has that of python3-venv as a file.
    index = f"PIP_NO_INDEX=1 PIP_FIND_LINKS='{WHEELS} /usr/share/python-wheels'"
    ann = "runuser -u ann -- env -C /home/ann HOME=/home/ann PIPX_HOME=/home/ann/pipx"
    machine.run(
        f"""useradd --create-home ann; cp -r {CHECKOUT} /srv/copy; chown -R ann /srv/copy
        {ann} {index} pipx install /srv/copy
        rm -r /srv/copy""",
        timeout_s=240,
    )
    tools = "/home/ann/.local/bin/ibkr-tools"
    assert machine.run(f"{ann} {tools} --version").startswith("ibkr-tools ")
    assert machine.run(f"ls {Path(tools).parent}") == "ibkr-tools"
    python = "pipx/venvs/ibkr-tools/bin/python"
    assert machine.code(f"{ann} {python} -c 'from ibkr_tools import Connection, History, latest'") == 0
    assert machine.run("find /etc /usr/lib /usr/local /run -xdev -name 'ibkr-*' -path '*systemd*'") == ""
    # The doctor's first command puts the example there.
    first = json.loads(machine.container.run(f"{ann} {tools} doctor --json", check=False).stdout)
    remedy = next(entry["remedy"] for entry in first["checks"] if entry["check"] == "configuration")
    machine.run(f"{ann} sh -c '{remedy}'")
    text = '{"username": "ann", "account": "U1234567"}'
    machine.container.run(f"{ann} sh -c 'umask 077; cat >.config/ibkr-tools/config.json'", stdin=text)
    for command, code, words in (
        ("login", 69, NO_SERVICES),
        ("gateway run", 78, "ibkr-tools gateway install"),
        ("fetch positions", 69, NO_SERVICES),
        ("status", 69, NO_SERVICES),
        ("doctor", 78, "2 to do"),
    ):
        told = machine.container.run(f"{ann} {tools} {command}", check=False)
        assert (told.returncode, "Traceback" in told.stderr) == (code, False), told
        assert words in " ".join((told.stdout + told.stderr).split()), told
    machine.run("userdel --remove ann")
