"""Nobody else reaches the gateway, and nobody else sees the password."""

import base64
import signal
import threading
from collections.abc import Iterator

import pytest

from tests.system.machine import CHECKOUT, PASSWORD, PASSWORD_FILE, UNITS, WHEELS, Machine, find_text, now

pytestmark = pytest.mark.system

WRONG = "another-Wr0ng-pass.phrase"
GATEWAY = "10.99.0.1"
HANDSHAKE = (
    "-H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' "
    f"-H 'Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}'"
)


@pytest.fixture
def outside(up: Machine) -> Iterator[Machine]:
    """A second host on a cable of its own: network namespace `outside`, 10.99.0.2."""
    up.run(
        "ip netns add outside && ip link add cable type veth peer name plug netns outside"
        f" && ip address add {GATEWAY}/24 dev cable && ip link set cable up"
        " && ip -n outside address add 10.99.0.2/24 dev plug && ip -n outside link set plug up"
        " && ip -n outside link set lo up"
    )
    yield up
    up.run("ip netns delete outside; ip link delete cable 2>/dev/null; true")


def curl(machine: Machine, arguments: str, *, host: str, within_s: int = 5) -> tuple[int, str]:
    """Returns curl's exit code and the HTTP status; 7 is refused, 28 is silence."""
    prefix = "" if host == "127.0.0.1" else "ip netns exec outside "
    told = machine.container.run(
        f"{prefix}curl -sk --http1.1 --max-time {within_s} -o /dev/null -w '%{{http_code}}' {arguments}", check=False
    )
    return told.returncode, told.stdout


def test_only_this_machine_reaches_the_gateway(outside: Machine) -> None:
    """From another host neither REST nor WebSocket; from this one both. Without the filter both would be open."""
    rest, socket = "https://{}:5000/", HANDSHAKE + " https://{}:5000/v1/api/ws"
    assert curl(outside, rest.format("127.0.0.1"), host="127.0.0.1", within_s=20) == (0, "302")
    outside.wait("it", lambda: curl(outside, socket.format("127.0.0.1"), host="127.0.0.1")[1] == "101", within_s=20)
    assert curl(outside, rest.format(GATEWAY), host="outside") == (28, "000")
    assert curl(outside, socket.format(GATEWAY), host="outside") == (28, "000")
    # The cable works and the jar would answer: it is the filter that keeps them out.
    outside.run("nft delete table inet ibkr_tools")
    assert curl(outside, socket.format(GATEWAY), host="outside")[1] == "101"
    outside.run("systemctl reload ibkr-firewall")
    assert curl(outside, socket.format(GATEWAY), host="outside") == (28, "000")


def test_filter_survives_the_machines_own(outside: Machine) -> None:
    """Debian's nftables.service flushes everything, whatever it is told; ours is back at once, the session stays."""
    before = outside.main_process("ibkr-gateway.service")
    for verb in ("start", "reload", "restart", "stop"):
        outside.run(f"systemctl {verb} nftables")
        outside.wait(
            f"the filter after {verb}",
            lambda: curl(outside, f"https://{GATEWAY}:5000/", host="outside") == (28, "000"),
            within_s=5,
        )
    assert outside.main_process("ibkr-gateway.service") == before
    assert outside.state() == "up"


def test_units_reach_nobody_but_this_machine(outside: Machine) -> None:
    """IPAddressDeny= is silently ignored where it does not work: in this container it does."""
    listener = "systemd-run --quiet --unit=listener nsenter --net=/run/netns/outside python3 -m http.server 8099"
    outside.run(f"{listener} && sleep 0")
    rules = "--property=IPAddressDeny=any --property=IPAddressAllow=localhost"
    ask = "systemd-run --quiet --wait --pipe {} curl -s --max-time 2 -o /dev/null http://10.99.0.2:8099/"
    outside.wait("the listener", lambda: outside.code(ask.format("")) == 0, within_s=10)
    assert outside.code(ask.format(rules)) == 28
    outside.run("systemctl stop listener")


def test_wrong_password_is_sent_once(up: Machine) -> None:
    """77, one submission, silence; after the correction and `unlock` it goes on by itself."""
    up.stop()
    # With the simulator gone its counters begin anew.
    up.wait("the simulator's end", lambda: up.ours() == [], within_s=10)
    up.run(f"echo '{WRONG}' >{PASSWORD_FILE}")
    up.run("systemctl start ibkr-gateway", timeout_s=90)
    up.wait("the refusal", lambda: up.show("ibkr-login.service", "ExecMainStatus") == "77", within_s=60)
    up.wait("the watchdog to say so", lambda: up.state() == "locked-out", within_s=30)
    assert up.submitted() == 1
    assert up.code("ibkr-tools status") == 77
    # A watchdog that is started anew must not try again either.
    up.kill("ibkr-watchdog.service", signal.SIGKILL)
    moment = now()
    up.wait("the next watchdog's word", lambda: up.status()["session"]["updated_at"] > moment.isoformat(), within_s=30)
    up.wait("silence", lambda: (now() - moment).total_seconds() > 6, within_s=10)
    assert up.submitted() == 1
    up.run(f"echo '{PASSWORD}' >{PASSWORD_FILE} && ibkr-tools unlock")
    up.wait_back(moment)


def test_missing_password_is_said_and_heals(up: Machine) -> None:
    """Without the file the login says so instead of making the path unit spin; with it, all is well again."""
    up.stop()
    up.run(f"mv {PASSWORD_FILE} /root/kept")
    up.run("systemctl start ibkr-gateway", timeout_s=90)
    up.wait("the complaint", lambda: up.show("ibkr-login.service", "ExecMainStatus") == "78", within_s=60)
    assert up.is_active("ibkr-login.path")
    moment = now()
    up.run(f"mv /root/kept {PASSWORD_FILE} && ibkr-tools unlock")
    up.run("systemctl restart ibkr-gateway", timeout_s=90)
    up.wait_back(moment)


def test_password_is_nowhere(up: Machine) -> None:
    """Not in argv or environment of any process during a login, not in the journal, nor in any file but its own."""
    programs: set[str] = set()
    leaks: list[str] = []
    done = threading.Event()
    needles = (PASSWORD.encode(), WRONG.encode())

    def sample() -> None:
        while not done.wait(0.02):
            for process in up.container.processes():
                programs.add(process.program)
                if any(needle in process.argv or needle in process.environ for needle in needles):
                    leaks.append(repr(process))

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        moment = now()
        up.drop_session()
        up.wait_back(moment)
        # A login that fails after typing leaves diagnostics behind.
        up.control(lambda simulator: simulator.page(dispatcher_delay_ms=1, restricted=True))
        up.drop_session()
        up.wait("a failed login", lambda: up.status()["login"]["state"] not in {"running", "succeeded"}, within_s=120)
    finally:
        done.set()
        sampler.join()
    assert leaks == []
    assert {"java", "chromium", "chromedriver"} <= programs, "the sampling has seen the login"
    up.run("journalctl --sync --rotate")
    written, container = up.container.written, up.container
    known = tuple(
        written / place.lstrip("/")
        for place in (PASSWORD_FILE, "/etc/ibkr-tools/config.json", "/opt", CHECKOUT, WHEELS)
    )
    diagnostics = list((written / "var/lib/ibkr-tools/login").rglob("*"))
    assert any(path.suffix in {".html", ".png"} for path in diagnostics), diagnostics
    assert find_text(PASSWORD, written / PASSWORD_FILE.lstrip("/")), "the search finds what is there"
    for needle in (PASSWORD, WRONG):
        places = (written, container.inside("/run/ibkr-tools"), container.inside("/tmp"))
        assert find_text(needle, *places, but_not=known) == []
        assert needle not in up.run("journalctl --no-pager --output=export --all")
        for unit in UNITS:
            assert needle not in up.run(f"systemctl show {unit}")
