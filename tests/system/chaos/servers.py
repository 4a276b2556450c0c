"""Faults of IBKR's servers and of the way to them: losses, silence, errors, pages nobody has seen, penalties."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

from ibkr_tools.simulator.control_client import ControlClient
from tests.system.chaos.fault import Blow, Fault, blow, once, said
from tests.system.chaos.scene import Scene
from tests.system.machine import Machine

PACING, PENALTY = "/run/ibkr-tools/pacing.json", "/var/lib/ibkr-tools/penalty.json"
# Long enough for a second opinion in every state, short enough not to outlast the patience of a test.
AWAY = ("unreachable", "maintenance", "backing-off", "logging-in", "lost", "degraded")


def _clear(machine: Machine) -> None:
    machine.control(lambda simulator: simulator.clear())


def _drop(push: Literal["sts", "close", "silent"], tier: Literal["all", "brokerage"] = "all") -> Blow:
    return once(lambda scene: scene.machine.control(lambda simulator: simulator.drop(tier=tier, push=push)))


def _trouble(*orders: dict[str, Any], drop: bool = False) -> Blow:
    """Orders trouble of the simulator for some paths, and takes the session away if `drop`."""

    def strike(scene: Scene) -> Iterator[None]:
        for order in orders:
            scene.machine.control(partial(ControlClient.fault, **order))
        if drop:
            scene.machine.drop_session()
        yield
        _clear(scene.machine)

    return blow(strike)


def _page(*, person: bool = False, **settings: Any) -> Blow:
    """Changes the login page and takes the session away; `person`: who logs in when it is over, instead of waiting."""

    def strike(scene: Scene) -> Iterator[None]:
        scene.machine.control(lambda simulator: simulator.page(**settings))
        scene.machine.drop_session()
        yield
        _clear(scene.machine)
        if person:
            scene.persons += 1
            code, told = scene.tool("login", timeout_s=150)
            assert code == 0, told

    return blow(strike)


def _cut(scene: Scene) -> None:
    """Cuts every connection to the gateway and from it, and none of the sessions behind them."""
    cut = scene.machine.run("ss --kill --no-header --tcp '( dport = 5000 or dport = 5080 )'")
    assert cut, "the kernel cuts no connections (CONFIG_INET_DIAG_DESTROY)"


def _penalty(scene: Scene) -> Iterator[None]:
    """Answers one request with 429: nobody asks anything for 15 minutes, which pass when the blow is lifted."""
    machine = scene.machine
    machine.control(lambda simulator: simulator.fault("/portfolio/*", "status", status=429, count=1))
    assert scene.tool("fetch positions")[0] != 0
    before = _asked(machine)
    yield
    assert _asked(machine) == before, "requests were sent during the penalty"
    path = machine.container.inside(PACING)
    pacing = json.loads(path.read_bytes())
    with path.open("w", encoding="utf-8") as file:
        json.dump({**pacing, "penalty_until": 0.0}, file)
    machine.container.inside(PENALTY).unlink(missing_ok=True)
    _clear(machine)


def _asked(machine: Machine) -> int:
    state = machine.control(lambda simulator: simulator.state())
    return sum(int(count) for call, count in state["requests"].items() if "/portfolio" in call)


def _is_told_to_wait(scene: Scene) -> bool:
    code, told = scene.tool("fetch positions")
    return code == 75 and "too many requests" in told


def _fetch_says_no(scene: Scene) -> bool:
    return scene.tool("fetch positions")[0] in {65, 69, 75}


def _competing(scene: Scene) -> Iterator[None]:
    scene.machine.control(lambda simulator: simulator.compete())
    yield
    scene.machine.control(lambda simulator: simulator.compete(competing=False))


UNKNOWN_PAGE = {"form": "section", "xyz-field": "abc-attempt", "password": "passphrase", "submit": "send"}
_5XX = {"kind": "status", "status": 503}

SERVERS = (
    Fault(name="session lost, told (sts)", blow=_drop("sts"), loses=True, notice_s=5, share=4),
    Fault(name="session lost, socket closed", blow=_drop("close"), loses=True, notice_s=5, share=4),
    Fault(name="session lost in silence", blow=_drop("silent"), loses=True, share=3),
    Fault(name="every connection cut", blow=once(_cut), loses=False),
    Fault(
        name="upstream hangs",
        blow=_trouble({"path": "*", "kind": "hang"}),
        loses=False,
        until=said("unreachable"),
        share=3,
    ),
    Fault(
        name="upstream hangs, session lost",
        blow=_trouble({"path": "*", "kind": "hang"}, drop=True),
        loses=True,
        until=said(*AWAY),
        back_s=240,
    ),
    Fault(
        name="503 on tickle",
        blow=_trouble({"path": "/tickle", **_5XX}),
        loses=False,
        until=said("unreachable"),
    ),
    Fault(
        name="503 on tickle and validate, session lost",
        blow=_trouble({"path": "/tickle", **_5XX}, {"path": "/sso/validate", **_5XX}, drop=True),
        loses=True,
        until=said("unreachable"),
        back_s=120,
    ),
    Fault(name="503 on portfolio", blow=_trouble({"path": "/portfolio/*", **_5XX}), loses=False, until=_fetch_says_no),
    Fault(
        name="503 on everything",
        blow=_trouble({"path": "*", **_5XX}),
        loses=False,
        until=said("unreachable"),
    ),
    Fault(
        name="HTML instead of JSON",
        blow=_trouble({"path": "/*", "kind": "html"}),
        loses=False,
        until=said("unreachable"),
    ),
    Fault(
        name="half of every answer",
        blow=_trouble({"path": "/tickle", "kind": "truncate"}),
        loses=False,
        until=said("unreachable"),
    ),
    Fault(
        name="unknown login page",
        blow=_page(rename=UNKNOWN_PAGE),
        loses=True,
        until=said("backing-off"),
        until_s=180,
        back_s=150,
    ),
    Fault(
        name="login page says maintenance",
        blow=_page(maintenance="Down until Sunday", blank=True, person=True),
        loses=True,
        until=said("maintenance", "backing-off"),
        until_s=180,
        back_s=150,
        share=1,
    ),
    Fault(name="429", blow=blow(_penalty), loses=False, until=_is_told_to_wait),
)

BROKERAGE = (
    Fault(
        name="brokerage tier lost, told (sts)",
        blow=_drop("sts", "brokerage"),
        loses=False,
        back_s=180,
        share=3,
        tier="brokerage",
    ),
    Fault(
        name="brokerage tier lost in silence",
        blow=_drop("silent", "brokerage"),
        # The gateway's own tickle may be the first to find it, and then logs the whole session out.
        loses=None,
        back_s=180,
        share=2,
        tier="brokerage",
    ),
    Fault(
        name="brokerage tier taken by another program",
        blow=blow(_competing),
        loses=False,
        until=said("competing"),
        back_s=120,
        share=1,
        tier="brokerage",
    ),
    Fault(name="both tiers lost, told (sts)", blow=_drop("sts"), loses=True, share=2, tier="brokerage", back_s=120),
)
