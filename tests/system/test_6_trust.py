"""What a local user, a member of the group and a taken-over unit can do to a booted machine, as SECURITY.md says."""

import json
import time
from pathlib import Path

import pytest

from ibkr_tools.cli.command_table import COMMANDS
from tests.system.machine import PASSWORD, Machine, now
from tests.system.people import SHARED, People

pytestmark = pytest.mark.system

OURS = "/run/ibkr-tools /var/lib/ibkr-tools /etc/ibkr-tools"
ACCOUNT = "U1234567"
PRECIOUS = "/root/precious"


def guarded(machine: Machine) -> str:
    """Returns owner, mode and content of what must not change."""
    machine.run(f"[ -e {PRECIOUS} ] || {{ echo root\\'s >{PRECIOUS}; chmod 600 {PRECIOUS}; }}")
    return machine.run(
        f"stat -c '%n %U:%G %a %s' /etc/shadow /etc/passwd {PRECIOUS} /etc; sha256sum /etc/shadow {PRECIOUS}"
    )


# Somebody in no group.


def test_outsider_reads_nothing_of_ours(people: People) -> None:
    """Neither a file nor the name of the account in what systemd shows everybody."""
    assert people.run("outsider", f"ls {OURS}").out.strip() == ""
    assert people.run("outsider", f"find {OURS} 2>/dev/null").out.split() == OURS.split()
    shown = people.run("outsider", "systemctl show 'ibkr-*'; systemctl status --no-pager 'ibkr-*'; ps -ef").out
    assert "ibkr-watchdog.service" in shown
    assert ACCOUNT not in shown
    assert PASSWORD not in shown


@pytest.mark.parametrize("command", ["status", "status --json", "fetch", "show", "unlock --show", "pause", "login"])
def test_outsider_is_refused_in_one_line(people: People, command: str) -> None:
    told = people.run("outsider", f"ibkr-tools {command}")
    assert told.code in {77, 78}, told
    assert "hint: " in told.err
    assert "Traceback" not in told.err
    assert ACCOUNT not in told.out + told.err


# A member of the group.


def test_member_fetches_shows_and_looks(people: People) -> None:
    people.machine.run("ibkr-tools fetch --save", timeout_s=90)
    people.machine.wait("the status", lambda: people.run("member", "ibkr-tools status").code == 0, within_s=10)
    fetched = people.run("member", "ibkr-tools fetch --jq '.positions | length'")
    assert fetched.code == 0, fetched
    assert int(fetched.out) > 0
    assert people.run("member", "ibkr-tools show positions").code == 0


def test_member_writes_only_where_the_group_may(people: People) -> None:
    writable = people.run("member", f"find {OURS} -writable 2>/dev/null").out.split()
    assert SHARED in writable
    assert [path for path in writable if path != SHARED and not path.startswith(f"{SHARED}/")] == []


def test_member_reads_no_secret(people: People) -> None:
    readable = people.run("member", f"find {OURS} -type f -readable 2>/dev/null").out.split()
    assert "/run/ibkr-tools/status.json" in readable
    assert "/etc/ibkr-tools/config.json" in readable
    secret = ("password", "totp", "gateway.p12", "gateway.password", "login_log.json", "Cookies", "conf/conf.jar")
    assert [path for path in readable if path.endswith(secret)] == []
    found = people.run("member", f"grep -rlaE {PASSWORD}'|PRIVATE KEY' {OURS} 2>/dev/null").out
    assert found == ""
    assert people.run("member", "ls /var/lib/ibkr-tools/gateway/private").code != 0


@pytest.mark.parametrize(
    "command",
    [
        "mkfifo /run/ibkr-tools/status.json.x", "mkdir /run/ibkr-tools/login.request",
        "echo fresh >/run/ibkr-tools/login.request", "touch /run/ibkr-tools/gateway.restart",
        "touch /run/ibkr-tools/snapshot.request", "systemctl start ibkr-snapshot",
        "rm -f /run/ibkr-tools/status.json", "mv /var/lib/ibkr-tools/shared /var/lib/ibkr-tools/x",
        "touch /run/ibkr-tools/x",
        "ln -s /etc/shadow /run/ibkr-tools/x.lock", "echo x >/run/ibkr-tools/outbox/1.json",
        "systemctl stop ibkr-watchdog", "systemctl restart ibkr-gateway", "systemctl start ibkr-login",
        "pkill -u ibkr", "ibkr-tools unlock",
    ],
)  # fmt: skip
def test_member_commands_nothing(people: People, command: str) -> None:
    logins, java = people.machine.logins(), people.machine.java_pid()
    assert people.run("member", command).code != 0
    assert people.machine.state() == "up"
    assert (people.machine.logins(), people.machine.java_pid()) == (logins, java)


MEMBERS_COMMANDS = {
    "fetch": ("--jq .accounts", "--save"),
    "show": ("", "positions", "--list"),
    "diff": (),
    "history": (),
    "flex": (),
    "api": ("/portfolio/accounts",),
    "resources": ("", "positions"),
    "status": ("", "--json"),
    "doctor": ("",),
    "logs": (),
    "metrics": ("",),
    "login": (),
    "unlock": (),
    "pause": ("--for 1h",),
    "resume": ("",),
    "setup": (),
    "password": (),
    "config": ("check",),
    "gateway": ("info",),
    "up": (),
    "simulate": (),
    "watchdog": (),
    "alert": (),
}
"""What of each command a member of the group may do; a new command is entered here, and in the table below."""

ROOTS_COMMANDS = {
    "fetch": (
        "--save positions",
        "--save --account U1234567",
        "--save --wait 10",
        "--save --table",
        "--save --unattended",
    ),
    "history": ("rebuild",),
    "flex": ("fetch", "list"),
    "logs": ("",),
    "login": ("", "--explain"),
    "unlock": ("", "--show"),
    "setup": ("", "--simulator"),
    "password": ("",),
    "config": ("adopt-password", "adopt-token"),
    "gateway": ("run", "prepare", "rollback", "install --download", "update"),
    "up": ("",),
    "watchdog": ("",),
    "alert": ("--test",),
}
"""What of each command is root's."""

HARMLESS = {"simulate", "diff"}
"""One is a server of somebody's own, the other says with its exit code what it has found."""


def test_of_every_command_it_is_said_who_may() -> None:
    assert set(MEMBERS_COMMANDS) == set(COMMANDS)
    silent = {name for name in COMMANDS if not MEMBERS_COMMANDS[name] and not ROOTS_COMMANDS.get(name)}
    assert silent == HARMLESS


def test_member_does_what_a_member_may(people: People) -> None:
    """Every command of the table, without a word about rights."""
    people.machine.run("ibkr-tools fetch --save", timeout_s=90)
    wrong = []
    for name, words in MEMBERS_COMMANDS.items():
        for more in words:
            told = people.run("member", f"ibkr-tools {name} {more}", timeout_s=180)
            if told.code != 0 or "Traceback" in told.err:
                wrong.append((name, more, told))
    assert wrong == []


@pytest.mark.parametrize("who", ["member", "outsider"])
def test_everybody_is_told_in_one_form_what_is_roots(people: People, who: str) -> None:
    """77, one line of what only root may, and one with the command as it was typed, after sudo."""
    java, logins, submitted = people.machine.java_pid(), people.machine.logins(), people.machine.submitted()
    wrong = []
    for name, words in ROOTS_COMMANDS.items():
        for more in words:
            command = f"ibkr-tools {name} {more}".strip()
            told = people.run(who, f"{command} </dev/null", timeout_s=120)
            lines = told.err.splitlines()
            is_one_form = (
                len(lines) == 2
                and lines[0].startswith("error: ")
                and "only root" in lines[0]
                and lines[1].startswith(f"hint: sudo {command}")
            )
            if told.code != 77 or told.out or not is_one_form:
                wrong.append((command, told))
    assert wrong == []
    now_is = (people.machine.java_pid(), people.machine.logins(), people.machine.submitted())
    assert now_is == (java, logins, submitted)


def test_a_members_pause_is_everybodys(people: People) -> None:
    """The watchdog takes it, and whoever it is of may end it; an outsider may neither."""
    machine = people.machine
    told = people.run("member", "ibkr-tools pause --for 45min")
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith("paused until ")
    assert machine.run("stat -c '%U:%G %a' /var/lib/ibkr-tools/pause.json") == "ibkr:ibkr 640"
    logins = machine.logins()
    machine.drop_session()
    machine.wait("the pause to hold", lambda: machine.state() == "paused", within_s=60)
    assert machine.logins() == logins
    for command in ("pause", "resume"):
        assert people.run("outsider", f"ibkr-tools {command}").code == 77
    since = now()
    assert people.run("member", "ibkr-tools resume").out == "resumed; logins happen again\n"
    machine.wait_back(since)
    assert people.run("member", "ibkr-tools resume").out == "nothing was paused\n"
    machine.run("ibkr-tools pause")
    assert people.run("member", "ibkr-tools resume").out == "resumed; logins happen again\n"


def test_a_members_snapshot_is_the_units(people: People) -> None:
    """Its unit saves it, and answers; who asks meanwhile is served as well, and an outsider is not."""
    machine, latest = people.machine, "/var/lib/ibkr-tools/snapshots/latest.json"
    machine.run("ibkr-tools fetch --save", timeout_s=90)
    before, asked = machine.run(f"stat -c %y {latest}"), f"{SHARED}/fetch-request"
    told = people.run("member", "ibkr-tools fetch --save", timeout_s=180)
    assert (told.code, told.out, told.err.splitlines()[-1]) == (0, "", f"saved {latest}")
    assert machine.run(f"stat -c %y {latest}") != before
    assert (
        machine.run(f"stat -c '%U:%G %a' {latest} /run/ibkr-tools/fetch-answer.json") == "ibkr:ibkr 640\nibkr:ibkr 640"
    )
    assert machine.code(f"test -e {asked} -o -e /run/ibkr-tools/snapshot.request") == 1
    assert machine.is_active("ibkr-snapshot.path")
    outsider = people.run("outsider", "ibkr-tools fetch --save")
    assert outsider.code == 77
    assert outsider.err.splitlines()[1] == "hint: sudo ibkr-tools fetch --save"
    # Two at once: one request, one fetch, two answers.
    both = "ibkr-tools fetch --save & first=$!; ibkr-tools fetch --save; second=$?; wait $first; echo $? $second"
    told = people.run("member", both, timeout_s=180)
    assert told.out == "0 0\n", told
    assert told.err.count(f"saved {latest}") == 2


def test_a_members_snapshot_ends_as_its_fetch(people: People) -> None:
    """While there is no session: with what root is told, at once, and no unit tries again or tells a person."""
    machine = people.machine
    machine.run("ibkr-tools pause")
    machine.drop_session()
    machine.wait("the pause to hold", lambda: machine.state() == "paused", within_s=60)
    since = now()
    by_root = machine.container.run("ibkr-tools fetch --save", check=False, timeout_s=60)
    told = people.run("member", "ibkr-tools fetch --save", timeout_s=180)
    assert (told.code, told.err) == (by_root.returncode, by_root.stderr) == (75, told.err)
    assert machine.is_active("ibkr-snapshot.path")
    machine.run("ibkr-tools resume")
    machine.wait_back(since)
    assert people.run("member", "ibkr-tools fetch --save", timeout_s=180).code == 0


@pytest.mark.parametrize("name", ["pause-request", "fetch-request"])
@pytest.mark.parametrize(
    "trap",
    [
        "ln -s /etc/shadow", "ln -s /var/lib/ibkr-tools/login/login_log.json", "mkfifo", "mkdir",
        "full() { mkdir -p $1/y; }; full", "ln -s /dev/zero",
        # An empty file would be a request.
        "large() { head -c 4000000 /dev/zero >$1.large; mv $1.large $1; }; large",
    ],
)  # fmt: skip
def test_a_members_request_leads_nobody_anywhere(people: People, trap: str, name: str) -> None:
    """Whatever stands in its place is gone, nothing is paused or saved, and the session is kept alive."""
    machine, request = people.machine, f"{SHARED}/{name}"
    saved = machine.run("stat -c %y /run/ibkr-tools/fetch-answer.json 2>/dev/null || true")
    before, watchdog = guarded(machine), machine.main_process("ibkr-watchdog.service")
    log = machine.run("sha256sum /var/lib/ibkr-tools/login/login_log.json")
    people.run("member", f"cd {SHARED}; rm -rf {name}; {trap} {request}")
    machine.wait(
        "the request to be taken", lambda: machine.code(f"test -L {request} -o -e {request}") != 0, within_s=100
    )
    assert machine.code("test -e /var/lib/ibkr-tools/pause.json -o -e /run/ibkr-tools/snapshot.request") == 1
    assert machine.run("stat -c %y /run/ibkr-tools/fetch-answer.json 2>/dev/null || true") == saved
    assert machine.state() == "up"
    assert (guarded(machine), machine.main_process("ibkr-watchdog.service")) == (before, watchdog)
    assert machine.run("sha256sum /var/lib/ibkr-tools/login/login_log.json") == log
    assert people.run("member", "ibkr-tools pause --for 1min").code == 0
    assert people.run("member", "ibkr-tools resume").code == 0


@pytest.mark.parametrize("command", ["pause", "fetch --save"])
def test_without_a_watchdog_it_is_roots(people: People, command: str) -> None:
    """Nobody is there to take the request."""
    people.machine.stop()
    told = people.run("member", f"ibkr-tools {command}")
    assert told.code == 77
    assert told.err.splitlines()[1] == f"hint: sudo ibkr-tools {command}"


def test_java_has_its_class_archive_and_no_unit_may_change_it(up: Machine) -> None:
    """As the units' user, in their view of the file system: of all that, the gateway writes its configuration only."""
    gateway = "/var/lib/ibkr-tools/gateway"
    maps = Path(f"/proc/{up.java_pid()}/maps").read_text()
    assert f"{gateway}/class-archive/classes.jsa" in maps

    def can_write(unit: str, path: str) -> bool:
        inside = f"nsenter --target {up.main_process(unit)} --mount runuser -u ibkr --"
        return up.code(f"{inside} touch {gateway}/{path}") == 0

    assert can_write("ibkr-gateway.service", "conf/x")
    for unit in ("ibkr-gateway.service", "ibkr-watchdog.service"):
        for name in ("classes.jsa", "classes.json", "x"):
            assert not can_write(unit, f"class-archive/{name}")
    # What does not belong there is gone with the next start.
    up.run("systemctl restart ibkr-gateway", timeout_s=90)
    up.start()
    assert up.run(f"ls {gateway}/conf").split() == ["conf.jar", "logback.xml"]


LINKS = (
    "pacing.json pacing.lock session-lost pause-request fetch-request "
    "read-2.lock read-3.lock read-4.lock read-queue.lock cache-0"
)


@pytest.mark.parametrize("target", ["/etc/shadow", PRECIOUS, "/var/lib/ibkr-tools/gateway/private/gateway.p12"])
def test_members_links_lead_root_and_the_units_nowhere(people: People, target: str) -> None:
    """Root's commands and the units pass by: nothing is read, written, owned or opened up where a link leads."""
    before = guarded(people.machine)
    key = people.machine.run("cd /var/lib/ibkr-tools/gateway && find . -type f -exec stat -c '%n %U %a' {} + | sort")
    people.run("member", f"rm -rf {SHARED}/*; for name in {LINKS}; do ln -s {target} {SHARED}/$name; done")
    for command in ("unlock", "status", "fetch", "pause", "resume", "show"):
        people.machine.code(f"ibkr-tools {command}", timeout_s=120)
    people.machine.run("systemctl start ibkr-fetch", timeout_s=120)
    assert guarded(people.machine) == before
    assert key == people.machine.run(
        "cd /var/lib/ibkr-tools/gateway && find . -type f -exec stat -c '%n %U %a' {} + | sort"
    )
    assert people.run("member", f"cat {target}").code != 0
    assert people.machine.state() == "up"


def test_whatever_a_member_leaves_the_session_is_kept_alive(people: People) -> None:
    """A forged budget, locks that are held for ever, FIFOs: tickles go on, nothing restarts."""
    machine = people.machine
    watchdog = machine.main_process("ibkr-watchdog.service")
    boot_id = machine.run("cat /proc/sys/kernel/random/boot_id").strip().replace("-", "")
    forged = json.dumps(
        {
            "boot_id": boot_id,
            "penalty_until": time.monotonic() + 3000,
            "slots": [time.monotonic() + number / 10 for number in range(5000)],
            "next_at": {"tickle": time.monotonic() + 3000, "validate": time.monotonic() + 3000},
        }
    )
    people.run(
        "member", f"rm -rf {SHARED}/*; cat >{SHARED}/pacing.json <<'E'\n{forged}\nE\nmkfifo {SHARED}/pacing.lock"
    )
    people.run("member", f"cd {SHARED}; for n in 1 2 3 4 queue; do mkfifo read-$n.lock; done; mkdir session-lost")
    before = machine.control(lambda simulator: int(simulator.state()["requests"].get("GET /v1/api/tickle", 0)))
    logins = machine.logins()
    machine.wait(
        "two more tickles",
        lambda: (
            machine.control(
                lambda simulator: sum(
                    count for name, count in simulator.state()["requests"].items() if name.endswith("/tickle")
                )
            )
            >= before + 2
        ),
        within_s=100,
    )
    assert machine.state() == "up"
    assert (machine.main_process("ibkr-watchdog.service"), machine.logins()) == (watchdog, logins)
    # The units count in the boot that everybody else sees, though their sandbox hides the kernel's file.
    assert json.loads(machine.run("cat /run/ibkr-tools/pacing.json"))["boot_id"] == boot_id


def test_a_storm_of_hints_is_no_login(people: People) -> None:
    machine = people.machine
    logins, submitted = machine.logins(), machine.submitted()
    storm = f"for n in $(seq 300); do date >{SHARED}/.h && mv {SHARED}/.h {SHARED}/session-lost; sleep 0.02; done"
    assert people.run("member", storm).code == 0
    assert machine.state() == "up"
    assert (machine.logins(), machine.submitted()) == (logins, submitted)


def test_a_members_hint_is_heard(people: People) -> None:
    """IBKR drops the session without a word; a member's fetch meets that first."""
    machine = people.machine
    since = now()
    machine.control(lambda simulator: simulator.drop(push="silent"))

    def is_heard() -> bool:
        # Of hints that come within ten seconds one is taken; others may have left some.
        people.run("member", "ibkr-tools fetch", timeout_s=90)
        return machine.state() != "up" or machine.is_up_since(since)

    assert people.run("member", "ibkr-tools fetch", timeout_s=90).code == 75
    machine.wait("the hint to be heard", is_heard, within_s=20)
    machine.wait_back(since)


# A unit that was taken over: everything that the user ibkr can do.


@pytest.mark.parametrize(
    "name", ["status.json", "status.lock", "login.request", "snapshot.request", "gateway.restart", "pacing.json"]
)
@pytest.mark.parametrize("trap", ["mkfifo", "mkdir", "ln -s /etc/shadow"])
def test_taken_over_unit_leads_root_nowhere(people: People, name: str, trap: str) -> None:
    """Nor does anything hang or end in a traceback; and what the units need comes back by itself."""
    machine, path = people.machine, f"/run/ibkr-tools/{name}"
    before = guarded(machine)
    # The gateway's parent writes its status all the time, and may do so in between.
    machine.wait("the trap", lambda: people.run("ibkr", f"rm -rf {path}; {trap} {path}").code == 0, within_s=10)
    try:
        for command in ("status", "unlock --show", "fetch", "resume"):
            told = machine.container.run(f"timeout 60 ibkr-tools {command}", check=False, timeout_s=90)
            assert told.returncode != 124, command
            assert "Traceback" not in told.stderr, told.stderr
    finally:
        people.run("ibkr", f"rm -rf {path}")
    assert guarded(machine) == before
    machine.wait("the session to be up", lambda: machine.state() == "up", within_s=90)


def test_taken_over_state_leads_root_nowhere(people: People) -> None:
    """Links in the state directory: a login by hand neither owns nor deletes what is behind them."""
    machine = people.machine
    machine.run("install -d /root/theirs && touch /root/theirs/a.html /root/theirs/a.png")
    before = guarded(machine) + machine.run("stat -c '%n %U %a' /root/theirs /root/theirs/*")
    places = {name: f"/var/lib/ibkr-tools/{name}" for name in ("browser", "login/diagnostics", "snapshots")}
    for place in places.values():
        people.run("ibkr", f"rm -rf {place}.old; mv {place} {place}.old; ln -s /root/theirs {place}")
    try:
        machine.drop_session()
        for command in ("login", "fetch --save", "unlock", "show"):
            machine.code(f"timeout 100 ibkr-tools {command}", timeout_s=120)
        after = guarded(machine) + machine.run("stat -c '%n %U %a' /root/theirs /root/theirs/*")
    finally:
        for place in places.values():
            people.run("ibkr", f"rm -f {place}; [ -e {place}.old ] && mv {place}.old {place}")
        machine.run("ibkr-tools unlock")
    assert after == before


def test_root_by_hand_is_ibkr_where_it_is_ibkrs(people: People) -> None:
    machine = people.machine
    machine.run("ibkr-tools pause --for 1min && ibkr-tools fetch --save", timeout_s=90)
    owners = machine.run("find /run/ibkr-tools /var/lib/ibkr-tools -ignore_readdir_race ! -user ibkr ! -user member")
    machine.run("ibkr-tools resume")
    assert owners == ""


def test_second_factors_command_is_not_roots(people: People) -> None:
    """`sudo ibkr-tools login` runs as ibkr whatever the configuration names."""
    told = people.machine.run(
        "cat >/usr/local/bin/who-am-i <<'E'\n#!/bin/sh\nid -un >/tmp/who; exit 1\nE\nchmod 755 /usr/local/bin/who-am-i;"
        " python3 -I - <<'E'\nimport subprocess, json\n"
        "config = json.load(open('/etc/ibkr-tools/config.json'))\n"
        "config['alerts'] = {'command': ['/usr/local/bin/who-am-i']}\n"
        "json.dump(config, open('/tmp/config.json', 'w'))\nE\n"
        "chmod 640 /tmp/config.json; chgrp ibkr /tmp/config.json; rm -f /tmp/who;"
        " ibkr-tools --config /tmp/config.json --runtime-dir /run/ibkr-tools --state-dir /var/lib/ibkr-tools"
        " alert --test; cat /tmp/who; rm -f /tmp/who /tmp/config.json /usr/local/bin/who-am-i"
    )
    assert told.strip().splitlines()[-1] == "ibkr"
