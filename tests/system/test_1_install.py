"""What bin/install leaves on a machine, and that doing it again changes nothing."""

import hashlib
import json

import pytest

from tests.support.patience import slowdown
from tests.system.machine import (
    CHECKOUT,
    CONFIG,
    HOSTILE,
    IN_HOSTILE,
    INSTALL,
    INSTALL_AGAIN,
    PASSWORD,
    PASSWORD_FILE,
    Machine,
    now,
)

pytestmark = pytest.mark.system


def modes(machine: Machine, *paths: str) -> dict[str, str]:
    lines = machine.run(f"stat -c '%n %a %U:%G' {' '.join(paths)}").splitlines()
    return dict(line.split(" ", 1) for line in lines)


def test_files_have_their_owners_and_modes(machine: Machine) -> None:
    """The configuration is for the group, the password for root, the data for the service."""
    assert modes(
        machine,
        "/etc/ibkr-tools/config.json",
        PASSWORD_FILE,
        "/var/lib/ibkr-tools",
        "/var/lib/ibkr-tools/login",
        "/var/lib/ibkr-tools/gateway/private",
        "/var/lib/ibkr-tools/gateway/private/gateway.p12",
        "/var/lib/ibkr-tools/gateway/class-archive",
        "/var/lib/ibkr-tools/gateway/class-archive/classes.jsa",
        "/opt/ibkr-tools/venv/bin/ibkr-tools",
    ) == {
        "/etc/ibkr-tools/config.json": "640 root:ibkr",
        PASSWORD_FILE: "600 root:root",
        "/var/lib/ibkr-tools": "750 ibkr:ibkr",
        "/var/lib/ibkr-tools/login": "700 ibkr:ibkr",
        "/var/lib/ibkr-tools/gateway/private": "700 ibkr:ibkr",
        "/var/lib/ibkr-tools/gateway/private/gateway.p12": "600 ibkr:ibkr",
        "/var/lib/ibkr-tools/gateway/class-archive": "700 ibkr:ibkr",
        "/var/lib/ibkr-tools/gateway/class-archive/classes.jsa": "600 ibkr:ibkr",
        "/opt/ibkr-tools/venv/bin/ibkr-tools": "755 root:root",
    }


def test_nothing_was_run_that_lay_where_root_stood(machine: Machine) -> None:
    """bin/install ran in a folder of hostile modules, with variables that lead there; so does the program."""
    assert machine.run("head -n 1 /opt/ibkr-tools/venv/bin/ibkr-tools").endswith("/python -I")
    for command in ("ibkr-tools --version", "ibkr-tools config check", f"{CHECKOUT}/bin/uninstall --help"):
        # PYTHONHOME would only keep Python from starting at all.
        machine.run(f"{IN_HOSTILE.replace('PYTHONHOME', 'PYTHONUSERBASE')} {command}")
    assert machine.code(f"test -e {HOSTILE}/ran") != 0


def test_what_was_installed_is_written_down(machine: Machine) -> None:
    """Every file outside /opt/ibkr-tools and every directory made for one; nothing else is on the list."""
    listed = machine.run("cat /opt/ibkr-tools/manifest").splitlines()
    found = machine.run(
        r"find /usr/local/{lib,bin,share} \( -name '*ibkr*' -o -path '*ibkr*' \) ! -path '*.wants*' ! -type d"
    ).splitlines()
    assert sorted(path for path in listed if not path.endswith("/")) == sorted(found)
    assert modes(machine, "/opt/ibkr-tools/manifest") == {"/opt/ibkr-tools/manifest": "644 root:root"}
    # What builds packages is not what runs.
    assert machine.code("ls -d /opt/ibkr-tools/venv/lib/python3*/site-packages/hatchling") != 0


def test_first_installation_enables_but_does_not_start(machine: Machine) -> None:
    """The next boot brings everything up; until then a person decides."""
    assert machine.run("systemctl is-enabled ibkr-gateway") == "enabled"
    assert machine.code("systemctl is-enabled --quiet ibkr-fetch.timer") != 0
    assert not machine.is_active("ibkr-gateway.service")


def test_systemd_reads_the_installed_units(machine: Machine) -> None:
    """With the real programs in place nothing is left to complain about."""
    told = machine.container.run(
        "cd /usr/local/lib/systemd/system; systemd-analyze verify --man=no --recursive-errors=no"
        " $PWD/ibkr-*.{service,path,socket,timer}",
        check=False,
    )
    assert (told.returncode, told.stderr) == (0, "")


def test_start_is_all_it_takes(machine: Machine) -> None:
    """`systemctl start ibkr-gateway` brings the session up, and `fetch --jq` prints the positions."""
    moment = now()
    with machine.timed("systemctl start to the first positions"):
        machine.run("systemctl start ibkr-gateway", timeout_s=90)
        machine.wait_back(moment)
        assert machine.run("ibkr-tools fetch positions --jq '.positions | length'") == "237"
    for unit in ("ibkr-gateway.service", "ibkr-watchdog.service", "ibkr-login.path", "ibkr-firewall.service"):
        assert machine.is_active(unit), unit
    machine.wait_status()


def test_a_healthy_machine_has_no_warning_in_its_journal(up: Machine) -> None:
    """Stopped, started, signed in, kept alive, read, stopped and started again: `journalctl -p warning -u 'ibkr-*'`."""
    up.wait_for_rest()
    cursor = up.run("journalctl --lines=0 --show-cursor | sed -n 's/^-- cursor: //p'")
    journal = f"journalctl --after-cursor='{cursor}' --quiet --no-pager"
    for _ in range(2):
        moment = now()
        up.stop()
        up.run("systemctl start ibkr-gateway", timeout_s=90)
        up.wait_back(moment)
        up.wait_for_rest()
    first = up.status()["session"]["last_tickle_at"]
    up.wait("a tickle", lambda: up.status()["session"]["last_tickle_at"] != first, within_s=60)
    up.run("systemctl start ibkr-fetch.service")
    for unit in ("ibkr-gateway", "ibkr-watchdog", "ibkr-login", "ibkr-fetch", "ibkr-firewall"):
        assert up.run(f"{journal} --unit={unit}") != "", unit
    ours = f"{journal} --unit='ibkr-*'"
    warnings = up.run(f"{ours} --priority=warning").splitlines()
    # Java on a busy machine answers late, and that is one.
    late = [line for line in warnings if slowdown() > 1 and "No answer on " in line]
    assert warnings == late, up.run(ours)


def test_members_of_the_group_need_no_root(machine: Machine) -> None:
    """A person in the group ibkr fetches and sees the status; anybody else is told that he may not."""
    machine.run("useradd --create-home --groups ibkr alice && useradd --create-home mallory")
    # The packet filter knows the members of the moment when it was loaded.
    machine.run("systemctl reload ibkr-firewall")
    fetch = "ibkr-tools fetch positions --jq '.positions | length'"
    assert machine.run(f"runuser -u alice -- {fetch}") == "237"
    machine.wait("her status", lambda: machine.code("runuser -u alice -- ibkr-tools status") == 0, within_s=10)
    # What alice has left behind does not stand in the way of the service.
    machine.run("systemctl start ibkr-fetch.service")
    refused = machine.container.run(f"runuser -u mallory -- {fetch}", check=False)
    assert refused.returncode == 78
    assert "Traceback" not in refused.stderr


def test_installing_again_changes_nothing(up: Machine) -> None:
    """Same files, same processes, and what the administrator disabled stays disabled."""

    def fingerprint() -> str:
        listing = up.run(
            "find /etc/ibkr-tools /usr/local/lib /opt/ibkr-tools -type f ! -name '*.pyc' -print0"
            " | sort -z | xargs -0 sha256sum;"
            "find /etc/ibkr-tools /etc/systemd/system /usr/local /var/lib/ibkr-tools -printf '%p %m %U:%G\\n' | sort",
        )
        return hashlib.sha256(listing.encode()).hexdigest()

    up.run("systemctl disable ibkr-gateway")
    before, gateway = fingerprint(), up.main_process("ibkr-gateway.service")
    with up.timed("bin/install again, nothing changed"):
        told = up.run(INSTALL_AGAIN, timeout_s=120)
    assert "program: unchanged" in told
    assert up.main_process("ibkr-gateway.service") == gateway
    assert up.run("systemctl is-enabled ibkr-gateway || true") == "disabled"
    assert fingerprint() == before
    up.run("systemctl enable ibkr-gateway")


def test_password_is_moved_out_of_the_configuration(up: Machine) -> None:
    """A password in config.json ends in the root-only file, the rest of the file stays, and it is said."""
    config = "/etc/ibkr-tools/config.json"
    former = up.run(f"cat {config}")
    up.run(f'sed -i \'1a "password": "{PASSWORD}",\' {config} && echo old >{PASSWORD_FILE}')
    told = up.run(INSTALL_AGAIN, timeout_s=120)
    assert f"the password was moved from config.json to {PASSWORD_FILE}" in told
    assert PASSWORD not in told
    assert up.run(f"cat {PASSWORD_FILE}") == PASSWORD
    assert json.loads(up.run(f"cat {config}")) == json.loads(former)
    assert modes(up, config, PASSWORD_FILE) == {config: "640 root:ibkr", PASSWORD_FILE: "600 root:root"}


def test_a_password_that_cannot_be_moved_is_named(machine: Machine) -> None:
    """So are copies that an editor left beside the configuration, and in the checkout; the password itself is not."""
    former = machine.run(f"cat {CONFIG}")
    machine.run(
        f"""cp -p {CONFIG} /srv/kept; sed -i '1a "password": "hunter22",' {CONFIG}; cp {CONFIG} {CONFIG}~
        cp {CONFIG} {CHECKOUT}/config.json.save; echo , >>{CONFIG}"""
    )
    told = machine.container.run(INSTALL, check=False, timeout_s=120)
    machine.run(f"rm {CONFIG}~ {CHECKOUT}/config.json.save; mv /srv/kept {CONFIG}")
    assert f"{CONFIG}: not a JSON object; the password in it is not moved" in told.stderr
    assert f"a password in {CONFIG} was not moved" in told.stderr
    assert f"{CONFIG}~ has a password in it" in told.stderr
    assert f"{CHECKOUT}/config.json.save has a password in it" in told.stderr
    assert "hunter22" not in told.stdout + told.stderr
    assert machine.run(f"cat {CONFIG}") == former
    assert machine.run(f"cat {PASSWORD_FILE}") == PASSWORD


def test_a_new_configuration_is_for_root_until_its_password_is_moved(machine: Machine) -> None:
    """The copy from the checkout: whoever watches the directory never sees it readable with the password in it."""
    machine.run(
        f"""mv {CONFIG} /srv/kept; cp {PASSWORD_FILE} /srv/kept.password
        sed '1a "password": "hunter22",' /srv/kept >{CHECKOUT}/config.json; chmod 644 {CHECKOUT}/config.json"""
    )
    install = INSTALL.replace("--simulator ", "")
    machine.run(f"sed -i 's/demo-reader/{{/' {CHECKOUT}/config.json; echo x >>{CHECKOUT}/config.json")
    told = machine.container.run(install, check=False, timeout_s=120)
    assert f"{CONFIG}: not a JSON object" in told.stderr
    assert modes(machine, CONFIG) == {CONFIG: "600 root:root"}
    machine.run(f"""rm {CONFIG}; sed '1a "password": "hunter22",' /srv/kept >{CHECKOUT}/config.json""")
    told = machine.container.run(install, check=False, timeout_s=120)
    assert f"the password was moved from config.json to {PASSWORD_FILE}" in told.stdout
    assert f"{CHECKOUT}/config.json has a password in it: delete that file" in told.stderr
    assert modes(machine, CONFIG) == {CONFIG: "640 root:ibkr"}
    assert machine.run(f"cat {PASSWORD_FILE}") == "hunter22"
    machine.run(f"rm {CHECKOUT}/config.json; mv /srv/kept {CONFIG}; mv /srv/kept.password {PASSWORD_FILE}")


def test_an_upgrade_removes_what_is_no_longer_part_of_it(machine: Machine) -> None:
    """By the former list: a unit of an older version is stopped, disabled and gone; a person's own stays."""
    units = "/usr/local/lib/systemd/system"
    text = "[Service]\\nExecStart=/bin/sleep 600\\n[Install]\\nWantedBy=multi-user.target"
    former = (f"{units}/ibkr-former.service", f"{units}/ibkr-former.service.d/20-exceptions.conf")
    machine.run(
        f"""for name in ibkr-former ibkr-second-user; do printf '{text}\\n' >{units}/$name.service; done
        mkdir {units}/ibkr-former.service.d; printf '[Service]\\nUMask=0022\\n' >{former[1]}
        printf '%s\\n' {" ".join(former)} {units}/ibkr-former.service.d/ /etc/hostname >>/opt/ibkr-tools/manifest
        systemctl daemon-reload; systemctl enable --now ibkr-former ibkr-second-user"""
    )
    told = machine.container.run(INSTALL, timeout_s=120)
    assert f"no longer part of it, removed: {former[0]} {units}/ibkr-former.service.d/ {former[1]}" in told.stdout
    assert "/etc/hostname is no place of ours and stays" in told.stderr
    assert machine.code("test -e /etc/hostname") == 0
    wants = "/etc/systemd/system/multi-user.target.wants/ibkr-former.service"
    for path in (*former, f"{units}/ibkr-former.service.d", wants):
        assert machine.code(f"test -e {path} -o -L {path}") != 0
    assert not machine.is_active("ibkr-former.service")
    assert machine.is_active("ibkr-second-user.service")
    assert "former" not in machine.run("cat /opt/ibkr-tools/manifest")
    machine.run(
        f"systemctl disable --now ibkr-second-user; rm {units}/ibkr-second-user.service; systemctl daemon-reload"
    )


def test_services_that_have_names_like_ours_are_told_of_the_sandbox(machine: Machine) -> None:
    """The installation names them, and a link to nowhere exempts one, as docs/systemd.md has it."""
    folder = "/etc/systemd/system"
    own = ("ibkr-second-user.service", "ibkr-exempt.service")
    for name in own:
        machine.run(f"printf '[Service]\\nExecStart=/bin/sleep 600\\n' >{folder}/{name}")
    machine.run(
        f"mkdir -p {folder}/{own[1]}.d; ln -s /dev/null {folder}/{own[1]}.d/10-sandbox.conf; systemctl daemon-reload"
    )
    told = machine.container.run(INSTALL_AGAIN, timeout_s=120)
    assert f"the sandbox of the units applies to {own[0]} too" in told.stderr
    assert [machine.show(name, "ProtectSystem") for name in own] == ["strict", "no"]
    machine.run(f"rm -r {folder}/{own[0]} {folder}/{own[1]} {folder}/{own[1]}.d; systemctl daemon-reload")


def test_mistakes_are_refused_before_anything_is_changed(machine: Machine) -> None:
    """A wrong option, a missing folder, no root: a clear line and a code each."""
    script = "/srv/ibkr-tools/bin/install"
    for command, code, words in (
        (f"{script} --gatway x", 2, "unknown option: --gatway"),
        (f"{script} --gateway /nowhere.zip", 2, "/nowhere.zip: no such file"),
        (f"{script} --wheels /nowhere", 2, "/nowhere: no such folder"),
        (f"{script} --gateway /dev/zero", 2, "/dev/zero: neither a file nor a folder"),
        (f"{script} --accept", 2, "--accept needs a SHA-256"),
        (f"runuser -u nobody -- {script}", 77, "needs root"),
        ("runuser -u nobody -- /srv/ibkr-tools/bin/uninstall", 77, "needs root"),
    ):
        told = machine.container.run(command, check=False)
        assert told.returncode == code, told.stderr
        assert words in told.stderr


def test_somebody_elses_files_are_not_overwritten(machine: Machine) -> None:
    """A program or a unit of the same name that was there before us is named, and nothing is changed."""
    link, unit = "/usr/local/bin/ibkr-tools", "/usr/local/lib/systemd/system/ibkr-fetch.service"
    machine.run(f"mv {link} /srv/link; echo own >{link}; cp {unit} /srv/unit; echo '[Service]' >{unit}")
    told = machine.container.run(INSTALL_AGAIN, check=False)
    machine.run(f"rm {link}; mv /srv/link {link}; mv /opt/ibkr-tools /srv/opt")
    foreign = machine.container.run(INSTALL_AGAIN, check=False)
    own = machine.run(f"cat {unit}; mv /srv/opt /opt/ibkr-tools; mv /srv/unit {unit}")
    assert (told.returncode, foreign.returncode, own) == (73, 73, "[Service]")
    assert f"{link} is there and is not ours" in told.stderr
    assert f"{unit} is there and is not ours" in foreign.stderr
