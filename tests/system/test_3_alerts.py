"""A person is told once, by their own command, from a unit that does nothing else; and once more when it is over."""

import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.machine import CONFIG, PASSWORD, PASSWORD_FILE, Machine, now

pytestmark = pytest.mark.system

COMMAND = "/etc/ibkr-tools/tell"
HEARD = "/var/lib/ibkr-tools/heard"
WRONG = "Wr0ng-once-more"
SILENCE_S = 4

# Fails while there is a file that says so, and takes its time while there is another.
SCRIPT = f"""#!/bin/sh
while [ -e {HEARD}.slow ]; do sleep 0.1; done
[ ! -e {HEARD}.broken ] || {{ echo 'no route to anybody' >&2; exit 7; }}
cat >> {HEARD}
"""


@pytest.fixture
def person(up: Machine) -> Iterator[Machine]:
    """The machine with a command that appends to a file; the person has heard nothing yet."""
    up.run(f"cp -p {CONFIG} /root/config.kept")
    up.configure(alerts={"command": [COMMAND], "timeout_s": 30})
    up.container.run(f"install -m 0750 -g ibkr /dev/stdin {COMMAND}", stdin=SCRIPT)
    up.wait("an empty outbox", lambda: waiting(up) == 0, within_s=20)
    up.run("rm -f /var/lib/ibkr-tools/alert_history.json")
    yield up
    up.run(f"echo '{PASSWORD}' >{PASSWORD_FILE}")
    up.run(f"rm -f {HEARD}* {COMMAND}; cp -p /root/config.kept {CONFIG}; rm -rf /run/systemd/system/ibkr-*.d")
    up.run("systemctl daemon-reload; systemctl stop ibkr-alert; rm -f /run/ibkr-tools/outbox/*.json")


def letters(machine: Machine) -> list[dict[str, Any]]:
    """Returns what the person has heard, in order."""
    return [json.loads(line) for line in machine.run(f"cat {HEARD} 2>/dev/null || true").splitlines()]


def topics(machine: Machine) -> list[str]:
    """Returns the topics of that."""
    return [letter["topic"] + (" over" if letter["over"] else "") for letter in letters(machine)]


def waiting(machine: Machine) -> int:
    """Returns how many messages nobody has delivered yet."""
    return len(list(machine.container.inside("/run/ibkr-tools/outbox").glob("*.json")))


def settle(machine: Machine) -> None:
    """Waits until everything that was to be told was told, and nothing more comes."""
    moment = now()

    def quiet() -> bool:
        nonlocal moment
        if waiting(machine) or machine.show("ibkr-alert.service", "ActiveState") == "activating":
            moment = now()
        return (now() - moment).total_seconds() > SILENCE_S

    machine.wait("silence", quiet, within_s=60)


def drop_in(machine: Machine, unit: str, text: str) -> None:
    """Changes a unit until the next reboot."""
    machine.run(f"mkdir -p /run/systemd/system/{unit}.d")
    machine.container.run(f"cat > /run/systemd/system/{unit}.d/90-test.conf", stdin=f"[Service]\n{text}\n")
    machine.run("systemctl daemon-reload")


def put(machine: Machine, topic: str, *more: str) -> None:
    """Puts a message, as a process of the user ibkr does."""
    fields = ", ".join([f"topic={topic!r}", "at=utc_now()", "what='by hand'", "next='nothing'", *more])
    code = (
        "from pathlib import Path; from ibkr_tools.alert_outbox import AlertMessage, put;"
        "from ibkr_tools.status import utc_now;"
        f" put(Path('/run/ibkr-tools/outbox'), AlertMessage({fields}))"
    )
    machine.run(f'runuser -u ibkr -- /opt/ibkr-tools/venv/bin/python -I -c "{code}"')


def test_a_unit_that_is_given_up(person: Machine) -> None:
    """Told once, however often it fails, in words that say what to do; told again when it works."""
    drop_in(person, "ibkr-fetch.service", "ExecStart=\nExecStart=/bin/sh -c 'exit 78'")
    for _ in range(2):
        assert person.code("systemctl start ibkr-fetch.service") != 0
        settle(person)
    (letter,) = letters(person)
    assert letter["topic"] == "unit:ibkr-fetch.service"
    assert "exit code 78: something must be configured or installed" in letter["subject"]
    assert "journalctl -u ibkr-fetch.service -n 20" in letter["todo"]
    person.run("rm -r /run/systemd/system/ibkr-fetch.service.d && systemctl daemon-reload")
    person.run("systemctl reset-failed ibkr-fetch.service; systemctl start ibkr-fetch.service")
    person.wait("the end of it", lambda: len(topics(person)) == 2, within_s=30)
    settle(person)
    assert topics(person) == ["unit:ibkr-fetch.service", "unit:ibkr-fetch.service over"]


def test_what_comes_back_by_itself_is_no_news(person: Machine) -> None:
    """Java is killed, the watchdog is killed: both are there again, and nobody was disturbed."""
    moment, java = now(), person.java()
    assert java is not None
    java.kill(signal.SIGKILL)
    person.wait_back(moment)
    moment = now()
    person.kill("ibkr-watchdog.service", signal.SIGKILL)
    person.wait_back(moment)
    settle(person)
    assert topics(person) == []


def test_without_the_gateway(person: Machine) -> None:
    """The packet filter fails, so there is no gateway: one message, for the one that is to blame."""
    person.stop()
    drop_in(person, "ibkr-firewall.service", "ExecStart=\nExecStart=/bin/sh -c 'kill -SEGV $$$$'")
    assert person.code("systemctl start ibkr-gateway") != 0
    person.wait("the message", lambda: topics(person) != [], within_s=20)
    settle(person)
    assert topics(person) == ["unit:ibkr-firewall.service"]
    assert person.show("ibkr-alert@ibkr-gateway.service.service", "Result") == "success"
    person.run("rm -r /run/systemd/system/ibkr-firewall.service.d && systemctl daemon-reload")
    person.start()
    person.wait("the end of it", lambda: len(topics(person)) == 2, within_s=30)


def test_a_refused_password(person: Machine) -> None:
    """One message says what to do; when it was done and the session is up, another one says so."""
    person.stop()
    person.wait("the simulator's end", lambda: person.ours() == [], within_s=15)
    person.run(f"echo '{WRONG}' >{PASSWORD_FILE}")
    person.run("systemctl start ibkr-gateway", timeout_s=90)
    with person.timed("refused password to a person told"):
        person.wait("the refusal", lambda: person.state() == "locked-out", within_s=90)
        person.wait("the message", lambda: topics(person) != [], within_s=20)
    # Neither a new watchdog nor a new gateway repeats it.
    for unit in ("ibkr-watchdog", "ibkr-gateway"):
        person.run(f"systemctl restart {unit}", timeout_s=90)
        person.wait("the next watchdog's word", lambda: person.state() == "locked-out", within_s=60)
    settle(person)
    (letter,) = letters(person)
    assert (letter["topic"], letter["user"], bool(letter["todo"])) == ("person", "demo-reader", True)
    moment = now()
    person.run(f"echo '{PASSWORD}' >{PASSWORD_FILE} && ibkr-tools unlock")
    person.wait_back(moment)
    person.wait("the end of it", lambda: len(topics(person)) == 2, within_s=20)
    settle(person)
    assert topics(person) == ["person", "person over"]


def test_a_command_that_fails(person: Machine) -> None:
    """The message is kept, the status says why, and it is told when the command works; a stop keeps it too."""
    person.run(f"touch {HEARD}.broken")
    put(person, "outage")
    person.wait(
        "the reason",
        lambda: "no route to anybody" in person.show("ibkr-alert.service", "StatusText"),
        within_s=20,
    )
    assert person.show("ibkr-alert.service", "ActiveState") == "activating"
    assert person.is_active("ibkr-alert.path")
    person.run("systemctl stop ibkr-alert.path ibkr-alert.service")
    assert person.show("ibkr-alert.service", "Result") == "success"
    person.run(f"rm {HEARD}.broken")
    assert (topics(person), waiting(person)) == ([], 1)
    person.run("systemctl start ibkr-alert.path")
    person.wait("the message", lambda: topics(person) == ["outage"], within_s=20)
    settle(person)
    put(person, "outage", "over=True")
    person.wait("the end of it", lambda: topics(person) == ["outage", "outage over"], within_s=20)


def test_a_delivery_that_is_stopped_or_killed(person: Machine) -> None:
    """Stopped, it lets the command finish; killed, the message is delivered by the next one."""
    person.run(f"touch {HEARD}.slow")
    put(person, "a")
    person.wait("the command", lambda: any(one.program in {"dash", "sh"} for one in person.ours()), within_s=20)
    person.run(f"(sleep 1; rm {HEARD}.slow) & systemctl stop ibkr-alert.service")
    person.wait("the message", lambda: topics(person) == ["a"], within_s=20)
    settle(person)
    assert topics(person) == ["a"]
    person.run(f"touch {HEARD}.slow")
    put(person, "b")
    person.wait("the command", lambda: any(one.program in {"dash", "sh"} for one in person.ours()), within_s=20)
    person.kill("ibkr-alert.service", signal.SIGKILL, whom="all")
    person.run(f"rm {HEARD}.slow")
    # systemd waits a minute before it tries a delivery again that failed without a word.
    person.wait("the message", lambda: topics(person) == ["a", "b"], within_s=90)


def test_the_way_can_be_tried(person: Machine) -> None:
    """Through the units with their sandbox, the gateway stopped or not, and directly, with an exit code."""
    person.stop()
    assert not person.is_active("ibkr-alert.path")
    person.run("systemctl start ibkr-alert@test")
    person.wait("the message", lambda: topics(person) == ["test"], within_s=20)
    assert person.run("ibkr-tools alert --test").startswith("sent: ")
    # Root does not run the command as root.
    assert person.run(f"stat -c %U {HEARD}") == "ibkr"
    person.run("systemctl start ibkr-alert@test")
    person.wait("the message", lambda: topics(person) == ["test"] * 3, within_s=20)
    person.run(f"touch {HEARD}.broken")
    assert person.code("ibkr-tools alert --test") == 75


def test_the_command_reaches_the_network(person: Machine) -> None:
    """jq and curl, as documented, from the sandbox to another host; password, key and login log are out of reach."""
    person.run(
        "ip netns add outside && ip link add cable type veth peer name plug netns outside"
        " && ip address add 10.99.0.1/24 dev cable && ip link set cable up"
        " && ip -n outside address add 10.99.0.2/24 dev plug && ip -n outside link set plug up"
    )
    sink = (
        "import http.server as h, sys\n"
        "class S(h.BaseHTTPRequestHandler):\n"
        "    def do_POST(self):\n"
        "        open('/run/sink','ab').write(self.rfile.read(int(self.headers['Content-Length'])) + b'\\n')\n"
        "        self.send_response(200); self.end_headers()\n"
        "h.HTTPServer(('10.99.0.2', 8000), S).serve_forever()\n"
    )
    person.container.run("cat > /root/sink.py", stdin=sink)
    person.run("systemd-run --quiet --unit=sink ip netns exec outside python3 /root/sink.py")
    try:
        shell = (
            "jq -c '{chat_id: \"1\", text}' | curl -fsS --json @- --retry 5 --retry-connrefused -K /etc/ibkr-tools/k"
        )
        person.run("""install -m 0640 -g ibkr /dev/stdin /etc/ibkr-tools/k <<<'url = "http://10.99.0.2:8000/"'""")
        looks = (
            "for place in /etc/ibkr-tools/password /var/lib/ibkr-tools/gateway /var/lib/ibkr-tools/browser"
            " /var/lib/ibkr-tools/login /root /home; do"
            f" if [ -d $place ]; then ls -A $place; else cat $place; fi >>{HEARD}.seen 2>/dev/null; done;"
        )
        person.configure(alerts={"command": ["/bin/bash", "-o", "pipefail", "-c", looks + shell], "timeout_s": 20})
        put(person, "outage")
        person.wait("the message", lambda: person.code("test -s /run/sink") == 0, within_s=30)
        document = json.loads(person.run("cat /run/sink"))
        assert (document["chat_id"], document["text"].startswith("By hand.")) == ("1", True)
        assert person.run(f"cat {HEARD}.seen") == ""
    finally:
        person.run("systemctl stop sink; ip netns delete outside; ip link delete cable 2>/dev/null; rm -f /run/sink")
        person.run("rm -f /etc/ibkr-tools/k")
