"""Faults of processes: each of ours is killed or stopped, in peace or in the middle of a login or a fetch."""

import signal
from collections.abc import Callable, Iterator

from tests.system.chaos.fault import Blow, Fault, blow, once
from tests.system.chaos.scene import Scene

KILL, STOP = signal.SIGKILL, signal.SIGSTOP
GATEWAY, WATCHDOG, LOGIN = "ibkr-gateway.service", "ibkr-watchdog.service", "ibkr-login.service"
FETCH, SIMULATOR = "ibkr-fetch.service", "ibkr-simulator.service"


def _java(sign: signal.Signals) -> Blow:
    def strike(scene: Scene) -> None:
        java = scene.machine.java()
        assert java is not None
        java.kill(sign)

    return once(strike)


def _unit(unit: str, sign: signal.Signals, whom: str = "main") -> Blow:
    return once(lambda scene: scene.machine.kill(unit, sign, whom))


def _restart(unit: str) -> Blow:
    def strike(scene: Scene) -> None:
        scene.count()
        scene.machine.run(f"systemctl restart {unit}", timeout_s=90)

    return once(strike)


def _servers_killed(scene: Scene) -> None:
    scene.count()
    scene.machine.kill(SIMULATOR, KILL)


def _servers_stopped(scene: Scene) -> Iterator[None]:
    scene.machine.kill(SIMULATOR, STOP)
    yield
    scene.machine.kill(SIMULATOR, signal.SIGCONT)


def _everything_killed(scene: Scene) -> None:
    scene.count()
    for process in scene.machine.ours():
        try:
            process.kill(KILL)
        except ProcessLookupError:
            # Its parent was first.
            continue


def _at_the_form(scene: Scene) -> None:
    """Has a login load the page, whose form takes its time."""
    scene.machine.browser_in_login()


def _after_submission(scene: Scene) -> None:
    """Has a login submit the password, and IBKR take its time over it."""
    machine, before = scene.machine, scene.machine.submitted()
    machine.control(lambda simulator: simulator.page(dispatcher_delay_ms=8000))
    machine.drop_session()
    machine.wait("a password to be submitted", lambda: machine.submitted() > before, within_s=60)


def _during_login(prepare: Callable[[Scene], None], hit: Callable[[Scene], None]) -> Blow:
    def strike(scene: Scene) -> Iterator[None]:
        prepare(scene)
        scene.strikes()
        hit(scene)
        scene.machine.control(lambda simulator: simulator.clear())
        yield

    return blow(strike)


def _login(sign: signal.Signals, whom: str) -> Callable[[Scene], None]:
    return lambda scene: scene.machine.kill(LOGIN, sign, whom)


def _program(name: str, sign: signal.Signals) -> Callable[[Scene], None]:
    """Hits the main process of that name."""

    def hit(scene: Scene) -> None:
        found = [process for process in scene.machine.ours() if process.program == name]
        next(process for process in found if b"--type=" not in process.argv).kill(sign)

    return hit


def _fetch(sign: signal.Signals) -> Blow:
    def strike(scene: Scene) -> Iterator[None]:
        machine = scene.machine
        machine.run(f"systemctl reset-failed {FETCH} 2>/dev/null; systemctl stop {FETCH}; true")
        machine.control(lambda simulator: simulator.fault("/portfolio/*/positions/*", "slow", delay_s=5, count=1))
        machine.run(f"systemctl start --no-block {FETCH}")
        asked = "/portfolio/*/positions/*"
        machine.wait(
            "the fetch to be under way",
            lambda: (
                not any(
                    fault["path"] == asked for fault in machine.control(lambda simulator: simulator.state())["faults"]
                )
            ),
            within_s=60,
        )
        scene.strikes()
        machine.kill(FETCH, sign)
        yield
        if sign is STOP:
            machine.kill(FETCH, signal.SIGCONT)
        machine.control(lambda simulator: simulator.clear())
        # Another one, at once, and complete.
        machine.run(f"systemctl reset-failed {FETCH} 2>/dev/null; systemctl restart {FETCH}", timeout_s=90)

    return blow(strike)


def _others_still_fetch(scene: Scene) -> bool:
    return scene.code() == 0 and scene.fetches()


# A login that hangs is ended by systemd (20 s), one whose browser hangs ends by itself (13 s), and the next one waits
# 10 s; one that has submitted the password counts as a failure, and the next one waits for a minute.
PROCESSES = (
    Fault(name="Java: SIGKILL", blow=_java(KILL), loses=True, share=3),
    Fault(name="Java: SIGSTOP", blow=_java(STOP), loses=True, back_s=90),
    Fault(name="gateway's parent: SIGKILL", blow=_unit(GATEWAY, KILL), loses=True, share=3),
    Fault(name="gateway's parent: SIGSTOP", blow=_unit(GATEWAY, STOP), loses=True, back_s=90),
    Fault(name="watchdog: SIGKILL", blow=_unit(WATCHDOG, KILL), loses=False, share=3),
    Fault(name="watchdog: SIGSTOP", blow=_unit(WATCHDOG, STOP), loses=False, back_s=90),
    Fault(name="everything of ours: SIGKILL", blow=once(_everything_killed), loses=True, back_s=90),
    Fault(name="IBKR's servers: SIGKILL", blow=once(_servers_killed), loses=True),
    Fault(
        name="IBKR's servers: SIGSTOP",
        blow=blow(_servers_stopped),
        loses=False,
        until=lambda scene: scene.says("unreachable"),
    ),
    Fault(
        name="Chromium: SIGKILL at the form",
        blow=_during_login(_at_the_form, _program("chromium", KILL)),
        loses=True,
        back_s=120,
    ),
    Fault(
        name="Chromium: SIGKILL after submission",
        blow=_during_login(_after_submission, _program("chromium", KILL)),
        loses=True,
        back_s=180,
        share=1,
    ),
    Fault(
        name="Chromium: SIGSTOP at the form",
        blow=_during_login(_at_the_form, _program("chromium", STOP)),
        loses=True,
        back_s=100,
        share=1,
    ),
    Fault(
        name="chromedriver: SIGKILL at the form",
        blow=_during_login(_at_the_form, _program("chromedriver", KILL)),
        loses=True,
        back_s=120,
    ),
    Fault(
        name="chromedriver: SIGSTOP at the form",
        blow=_during_login(_at_the_form, _program("chromedriver", STOP)),
        loses=True,
        back_s=100,
        share=1,
    ),
    Fault(
        name="login: SIGKILL at the form",
        blow=_during_login(_at_the_form, _login(KILL, "main")),
        loses=True,
        back_s=120,
    ),
    Fault(
        name="login: SIGKILL (all of it) after submission",
        blow=_during_login(_after_submission, _login(KILL, "all")),
        loses=True,
        back_s=180,
    ),
    Fault(
        name="login: SIGSTOP at the form",
        blow=_during_login(_at_the_form, _login(STOP, "main")),
        loses=True,
        back_s=100,
        share=1,
    ),
    Fault(name="fetch: SIGKILL", blow=_fetch(KILL), loses=False, share=2),
    Fault(name="fetch: SIGSTOP", blow=_fetch(STOP), loses=False, until=_others_still_fetch, share=2),
    Fault(name="systemctl restart ibkr-gateway", blow=_restart(GATEWAY), loses=True),
    Fault(name="systemctl restart ibkr-watchdog", blow=_restart(WATCHDOG), loses=False),
)
