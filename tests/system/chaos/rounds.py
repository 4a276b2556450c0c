"""Rounds of chaos: one fault each, then the wait for a session, then the accounts."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from tests.support.patience import slowdown
from tests.system.chaos.fault import Fault
from tests.system.chaos.processes import PROCESSES
from tests.system.chaos.scene import CLOCK_FILE, Scene, configure
from tests.system.chaos.servers import BROKERAGE, SERVERS
from tests.system.chaos.things import MACHINE, SHIFTED

FAULTS = (*PROCESSES, *SERVERS, *MACHINE, *BROKERAGE)
SHORT = (
    "Java: SIGKILL",
    "watchdog: SIGKILL",
    "session lost, told (sts)",
    "IBKR's servers: SIGKILL",
    "fetch: SIGKILL",
    "503 on everything",
    "status.json: garbage",
    "disk full, session lost",
    "chromedriver: SIGKILL at the form",
    "reboot",
)
"""One of each sort, each of them back within seconds: for every day."""

AGREE_S = 15.0
"""For how long the status may call a session up that serves no fetch, or the other way round, while things change."""


@dataclass
class Result:
    """How one round went; seconds, None for what did not happen. `failures` are sentences."""

    number: int
    fault: Fault
    notice_s: float | None = None
    back_s: float | None = None
    logins: int = 0
    wrong_status: bool = False
    failures: list[str] = field(default_factory=list)

    def line(self) -> str:
        """Returns the round in one line."""
        notice = "     -" if self.notice_s is None else f"{self.notice_s:6.1f}"
        back = "     -" if self.back_s is None else f"{self.back_s:6.1f}"
        failed = f"  FAILED: {'; '.join(self.failures)}" if self.failures else ""
        return f"{self.number:4} {self.fault.name:<44} noticed {notice} s, back {back} s, {self.logins} logins{failed}"


def deal(rounds: int, random: Random) -> list[Fault]:
    """Returns `rounds` faults: every kind by its share, in random order, those of the brokerage tier last."""
    dealt: list[Fault] = []
    while len(dealt) < rounds:
        deck = [fault for fault in FAULTS for _ in range(fault.share)]
        random.shuffle(deck)
        dealt += deck[: rounds - len(dealt)]
    return [fault for tier in ("portfolio", "brokerage") for fault in dealt if fault.tier == tier]


def alike(words: str, rounds: int) -> list[Fault]:
    """Returns the faults whose names contain one of `words` (separated by commas), one after the other."""
    found = [fault for fault in FAULTS if any(word.strip() in fault.name for word in words.split(","))]
    return [found[number % len(found)] for number in range(max(rounds, len(found)))]


def named(names: Sequence[str]) -> list[Fault]:
    """Returns the faults of these names."""
    known = {fault.name: fault for fault in FAULTS}
    return [known[name] for name in names]


class Chaos:
    """Rounds on one machine; `say` gets a line for each."""

    def __init__(self, scene: Scene, say: Callable[[str], None]) -> None:
        self.scene = scene
        self.say = say
        self.results: list[Result] = []

    def run(self, faults: Sequence[Fault]) -> None:
        """Lets one fault after the other fall; a round that fails is noted, and the next begins on a mended machine."""
        self.scene.begin()
        tier = ""
        for number, fault in enumerate(faults, start=1):
            if fault.tier != tier:
                tier = fault.tier
                self._become(tier)
            result = Result(number, fault)
            self.results.append(result)
            try:
                self._round(fault, result)
            except (AssertionError, OSError, LookupError) as error:
                result.failures.append(str(error).partition("\n")[0] or type(error).__name__)
                self.say(str(error))
                since = (self.scene.moment - self.scene.offset).timestamp() - 5
                self.say(self.scene.machine.container.journal("--unit=ibkr-*", f"--since=@{since:.0f}", lines=200))
            self.say(result.line())
            if result.failures:
                self._mend()

    def _become(self, tier: str) -> None:
        """Has the machine keep the session of another user, who may have that tier."""
        user = "demo-trader" if tier == "brokerage" else "demo-reader"

        def change(content: dict[str, object]) -> None:
            content["username"] = user
            content["session"] = {"tier": tier}
            # A hundred logins a day are what IBKR would frown at, and what chaos needs.
            content["login"] = {"logins_a_day": 1000}

        configure(self.scene.machine, change)
        if tier == "brokerage":
            # For its handshake IBKR's program wants the hardware address behind the machine's own name.
            self.scene.machine.run(
                "ip link add card type veth peer name slot; ip link set card up; ip link set slot up;"
                " ip address add 10.98.0.1/24 dev card; echo '10.98.0.1 container' >/etc/hosts;"
                " echo '127.0.0.1 localhost' >>/etc/hosts"
            )
        self._start_anew()
        self.scene.positions = 0
        code, told = self.scene.tool("fetch positions --jq '.positions | length'")
        assert code == 0, told
        self.scene.positions = int(told)

    def _start_anew(self) -> None:
        self.scene.count()
        self.scene.machine.run("systemctl restart ibkr-gateway", timeout_s=90)
        self.scene.machine.wait("a session", lambda: self.scene.code() == 0, within_s=120)

    def _mend(self) -> None:
        """Does all that a person could do."""
        scene, machine = self.scene, self.scene.machine
        for unit in SHIFTED:
            machine.run(f"rm -rf /run/systemd/system/{unit}.service.d {CLOCK_FILE}")
        machine.run(
            "systemctl kill --signal=CONT 'ibkr-*' 2>/dev/null; systemctl daemon-reload;"
            " rm -f /run/ibkr-tools/pacing.json"
        )
        scene.offset = timedelta()
        scene.count()
        machine.run("systemctl restart ibkr-simulator; ibkr-tools unlock", timeout_s=60)
        self._start_anew()

    def _round(self, fault: Fault, result: Result) -> None:
        scene = self.scene
        scene.settle()
        if scene.random.random() < 0.25:
            # The fault then falls upon a snapshot that is being taken.
            scene.machine.run("systemctl reset-failed ibkr-fetch 2>/dev/null; systemctl start --no-block ibkr-fetch")
        before = scene.count()
        scene.strikes()
        with ExitStack() as lifting:
            lifting.enter_context(fault.blow(scene))
            if fault.until is not None:
                self._watch(fault, result, "the status to say so", lambda: fault.until(scene), fault.until_s)  # type: ignore[misc]
        lifted = (
            time.monotonic()
            if fault.until is not None
            else time.monotonic() - (scene.now() - scene.moment).total_seconds()
        )
        self._watch(fault, result, "the session to be back", self._is_back(fault, result), fault.back_s)
        result.back_s = time.monotonic() - lifted
        scene.machine.wait_for_rest()
        code, told = scene.tool("status")
        if code != 0:
            result.failures.append(f"`ibkr-tools status` ended with {code}: {told}")
        result.logins = scene.count()["logins"] - before["logins"]
        if fault.loses is False and result.logins:
            result.failures.append(f"{result.logins} logins though the session was valid")
        result.failures += scene.check()

    def _watch(self, fault: Fault, result: Result, what: str, condition: Callable[[], bool], within_s: float) -> None:
        """Waits for the condition, and meanwhile notes when the status ceases to say that all is well."""
        scene = self.scene

        def look() -> bool:
            passed_s = (scene.now() - scene.moment).total_seconds()
            noticed = scene.code() != 0 or scene.is_new_session()
            if noticed and result.notice_s is None:
                result.notice_s = passed_s
            if (
                fault.loses
                and result.notice_s is None
                and passed_s > fault.notice_s * slowdown()
                and not result.wrong_status
            ):
                result.wrong_status = True
                result.failures.append(f"still called up {fault.notice_s:.0f} s after the session was gone")
            return condition()

        scene.machine.wait(f"{what} ({fault.name})", look, within_s=within_s)

    def _is_back(self, fault: Fault, result: Result) -> Callable[[], bool]:
        """Returns the condition that there is a session and that it serves a fetch."""
        scene = self.scene
        disagree_since: list[float] = []

        def is_back() -> bool:
            if scene.code() != 0 or not scene.has_spoken() or (fault.loses and not scene.is_new_session()):
                disagree_since.clear()
                return False
            if fault.tier == "brokerage" and not scene.has_brokerage():
                # The status has until its next tickle to say so.
                return False
            if scene.fetches():
                return True
            if scene.code() == 0:
                disagree_since.append(time.monotonic())
                if time.monotonic() - disagree_since[0] > AGREE_S and not result.wrong_status:
                    result.wrong_status = True
                    result.failures.append("called up, but no fetch succeeds")
            return False

        return is_back
