"""Every situation that the simulator knows by a name: what it shows, and that it is documented."""

import email.utils
from pathlib import Path

import pytest

from ibkr_tools.simulator import Simulator
from ibkr_tools.simulator.situations import SITUATIONS
from tests.support.caller import Caller
from tests.support.checkout import CHECKOUT
from tests.support.conversation import (
    ALIVE,
    AUTH,
    INIT,
    OPEN,
    SILENT,
    STATUS,
    TICKLE,
    VALIDATE,
    Said,
    heard,
    said,
    socket_of,
)
from tests.support.simulation import gateway_options, wait_until

pytestmark = pytest.mark.simulator(gateway=True, positions=3)

DOCS = CHECKOUT / "docs" / "simulator.md"


# What each situation shows; (user, method, path, body, what is said).
SHOWN: dict[str, tuple[str | None, str, str, object, Said]] = {
    "tickle-older": ("demo-trader", "POST", TICKLE, None,
                     (200, {"hmds": "absent", "iserver.tickle": True, AUTH + "authenticated": False,
                            AUTH + "serverInfo": "absent"})),
    "tickle-no-iserver": ("demo-reader", "POST", TICKLE, None, (200, {"iserver": "absent"})),
    "tickle-iserver-error": ("demo-reader", "POST", TICKLE, None, (200, {"iserver.error": "not authenticated"})),
    "tickle-no-auth-status": ("demo-reader", "POST", TICKLE, None, (200, {"iserver.authStatus": "absent"})),
    "tickle-no-session": ("demo-reader", "POST", TICKLE, None, (200, {"error": "no session", "session": "absent"})),
    "tickle-failed": ("demo-reader", "POST", TICKLE, None, (200, {"error": "failed to process request"})),
    "status-without-competing": ("demo-trader", "POST", STATUS, None, (200, {"competing": "absent"})),
    "not-connected": ("demo-reader", "POST", TICKLE, None,
                      (200, {AUTH + "connected": False, AUTH + "authenticated": False})),
    "no-session-error": (None, "POST", TICKLE, None, (200, {"error": "no session"})),
    "no-session-redirect": (None, "GET", VALIDATE, None, (302, {})),
    "validate-401": ("demo-reader", "GET", VALIDATE, None, (401, {})),
    "validate-500": ("demo-reader", "GET", VALIDATE, None, (500, {})),
    "validate-slow": ("demo-reader", "GET", VALIDATE, None, SILENT),
    "validate-never": ("demo-reader", "GET", VALIDATE, None, SILENT),
    "validate-0": ("demo-reader", "GET", VALIDATE, None, (200, {})),
    "init-503": ("demo-trader", "POST", INIT, OPEN, (503, {})),
    "init-410": ("demo-trader", "POST", INIT, OPEN, (410, {})),
    "init-wait": ("demo-trader", "POST", INIT, OPEN, (200, {"wait": True})),
    "init-no-token": ("demo-trader", "POST", INIT, OPEN, (500, {"error": "failed to generate sso dh token"})),
    "init-status": ("demo-trader", "POST", INIT, OPEN, (200, {"authenticated": False, "competing": False})),
    "reader-without-sts": ("demo-reader", "GET", VALIDATE, None, ALIVE),
    "reader-silent": ("demo-reader", "GET", VALIDATE, None, ALIVE),
    "reader-waiting": ("demo-reader", "GET", VALIDATE, None, ALIVE),
    "stolen": ("demo-trader", "POST", TICKLE, None, (200, {"collission": True, AUTH + "authenticated": True})),
    "taken": ("demo-trader", "POST", TICKLE, None,
              (200, {"collission": True, AUTH + "authenticated": False, AUTH + "connected": True})),
    "maintenance-500": ("demo-reader", "GET", VALIDATE, None, (500, {})),
    "maintenance-503": ("demo-reader", "GET", VALIDATE, None, SILENT),
    "maintenance-hang": ("demo-reader", "GET", VALIDATE, None, SILENT),
    "unreachable": ("demo-reader", "GET", "/sso/Login", None, SILENT),
    "gateway-hung": (None, "GET", "/", None, SILENT),
    "penalty": (None, "GET", VALIDATE, None, (429, {})),
    "clock-skew": ("demo-reader", "GET", VALIDATE, None, ALIVE),
    "access-denied": ("demo-reader", "GET", VALIDATE, None, (404, {})),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(SITUATIONS))
def test_every_situation_shows_and_is_documented(simulator: Simulator, caller: Caller, name: str) -> None:
    """By its name, while the simulator runs; `clear` ends it."""
    user, method, path, body, expected = SHOWN[name]
    if user is not None:
        simulator.control.login(user)
    simulator.control.situation(name)
    if isinstance(body, dict):
        answer = caller.call(method, path, body)
        shown = {key: answer.data.get(key) for key in expected[1]} if isinstance(expected, tuple) else {}
        assert (answer.status, shown) == expected
    else:
        assert said(caller, method, path, expected) == expected
    assert f"| `{name}` | {SITUATIONS[name].about} |" in DOCS.read_text()
    simulator.control.clear()
    assert caller.get("/").status == 302


@pytest.mark.parametrize(
    ("name", "greeting"),
    [
        ("reader-without-sts", ["system", SILENT]),
        ("reader-silent", [SILENT]),
        ("reader-waiting", ["waiting for session", SILENT]),
    ],
)
def test_a_read_only_users_socket_is_what_is_wanted(simulator: Simulator, name: str, greeting: list[str]) -> None:
    """Nobody has witnessed which of them IBKR sends."""
    simulator.control.situation(name)
    simulator.control.login("demo-reader")
    with socket_of(simulator) as socket:
        assert heard(socket, 2) == greeting


def test_the_servers_clock_can_be_wrong(simulator: Simulator, caller: Caller) -> None:
    """The Date header follows simulated time, plus the skew."""

    def ahead_s() -> float:
        date = email.utils.parsedate_to_datetime(caller.get("/").headers["date"]).timestamp()
        return date - float(simulator.control.state()["now"])

    assert abs(ahead_s()) < 5
    simulator.control.situation("clock-skew")
    assert 35 < ahead_s() < 45


def test_validate_answers_zero(simulator: Simulator, caller: Caller) -> None:
    simulator.control.situation("validate-0")
    assert caller.get(VALIDATE).body == b"0"


def test_an_idle_simulator_ends_faults_by_itself(tmp_path: Path) -> None:
    """Simulated time that runs fast is enough; nobody has to ask."""
    with Simulator(gateway_options(tmp_path, positions=1, speed=100.0)) as simulator:
        simulator.control.fault("/tickle", "hang", for_s=60)
        wait_until(lambda: not simulator.control.state()["faults"], 5)
