"""Faults of the machine: disks, files that are damaged, clocks that jump, reboots."""

import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta

from tests.system.chaos.fault import Blow, Fault, blow, once, said
from tests.system.chaos.scene import CLOCK_FILE, STATUS, Scene, preloaded
from tests.system.machine import LOGIN_LOG

PACING, RUN = "/run/ibkr-tools/pacing.json", "/run"
# With the library in it the login cannot start a browser (its poll(2) fails): that one stays on the machine's clock.
SHIFTED = ("ibkr-gateway", "ibkr-watchdog")
JUMPS = (timedelta(minutes=90), timedelta(minutes=-90), timedelta(hours=26), timedelta(hours=-26))


def _disk_full(scene: Scene) -> Iterator[None]:
    _fill_disk(scene)
    scene.machine.drop_session()
    yield
    assert _limit_disk(scene, "50%")


def _fill_disk(scene: Scene) -> None:
    """Makes everything but /run and /tmp full: the disk's limit comes down to what is used."""

    def used() -> str:
        room = os.statvfs(scene.machine.container.written)
        return str((room.f_blocks - room.f_bfree) * room.f_frsize)

    # The kernel refuses a limit below what has been written meanwhile.
    assert any(_limit_disk(scene, used()) for _ in range(100)), "the disk grows faster than its limit can be set"


def _limit_disk(scene: Scene, size: str) -> bool:
    disk = scene.machine.container.written.parent
    return subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=False).returncode == 0


def _is_full_and_said(scene: Scene) -> bool:
    # A browser that ends gives room back.
    _fill_disk(scene)
    return scene.says("backing-off")


def _run_full(scene: Scene) -> Iterator[None]:
    before = scene.machine.run("df --output=size --block-size=1 /run | tail -1")
    _fill_run(scene)
    scene.machine.drop_session()
    yield
    scene.machine.run(f"mount -o remount,size={before} /run")


def _fill_run(scene: Scene) -> None:
    limit = "mount -o remount,size=$(df --output=used --block-size=1 /run | tail -1) /run"
    scene.machine.run(f"for _ in $(seq 100); do {limit} && exit; done; exit 1")


def _is_run_full_and_said(scene: Scene) -> bool:
    _fill_run(scene)
    return scene.says("stale")


def _damage(path: str, damage: Callable[[bytes], bytes], *, drop: bool = False) -> Blow:
    """Writes over a file in place, as no program of ours ever does."""

    def strike(scene: Scene) -> None:
        inside = scene.machine.container.inside(path)
        content = damage(inside.read_bytes() if inside.exists() else b"")
        # Without waiting: it is not for chaos to keep locks.
        fd = os.open(inside, os.O_WRONLY | os.O_TRUNC | (0 if inside.exists() else os.O_CREAT))
        with os.fdopen(fd, "wb") as file:
            file.write(content)
        if drop:
            scene.machine.drop_session()

    return once(strike)


def _half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _garbage(_content: bytes) -> bytes:
    return os.urandom(300)


def _removed(scene: Scene) -> None:
    scene.machine.container.inside(STATUS).unlink()


def _login_log_damaged(scene: Scene) -> Iterator[None]:
    """A login log that cannot be read is a locked one; a person takes note of it, unlocks, and waits for a day."""
    path = scene.machine.container.inside(LOGIN_LOG)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    scene.machine.drop_session()
    yield
    scene.unlock_after_damage()


def _clock(scene: Scene) -> Iterator[None]:
    """Lets the wall clock of our processes jump while they run, and jump back; monotonic clocks run on."""
    machine = scene.machine
    offset = scene.random.choice(JUMPS)
    shift = machine.container.inside(CLOCK_FILE)
    shift.write_text("+0\n")
    for unit in SHIFTED:
        _preload(scene, unit, *preloaded())
    _restart_all(scene)
    logins = scene.count()["logins"]
    scene.offset = offset
    shift.write_text(f"{offset.total_seconds():+.0f}\n")
    scene.strikes()
    machine.wait("word of after the jump", lambda: scene.code() == 0 and _is_fresh(scene), within_s=30)
    code, told = scene.tool("fetch positions")
    assert code == 0, f"no fetch after the clock's jump by {offset}: {told}"
    assert scene.count()["logins"] == logins, "a jump of the clock cost a session"
    machine.drop_session()
    machine.wait("the session on the other time", lambda: scene.code() == 0 and scene.is_new_session(), within_s=60)
    yield
    machine.wait("the login's end", scene.login_rests, within_s=30)
    shift.write_text("+0\n")
    scene.offset = timedelta()
    machine.wait("word of after the jump back", lambda: scene.code() == 0 and _is_fresh(scene), within_s=30)
    for unit in SHIFTED:
        machine.run(f"rm -r /run/systemd/system/{unit}.service.d")
    _restart_all(scene)


def _preload(scene: Scene, unit: str, *environment: str) -> None:
    folder = f"/run/systemd/system/{unit}.service.d"
    lines = "".join(f"Environment={one}\\n" for one in environment)
    scene.machine.run(f"mkdir -p {folder} && printf '[Service]\\n{lines}' >{folder}/50-clock.conf")


def _is_fresh(scene: Scene) -> bool:
    session = scene.status().session
    return session is not None and abs((session.updated_at - scene.now()).total_seconds()) < 30


def _restart_all(scene: Scene) -> None:
    scene.count()
    scene.strikes()
    scene.machine.run("systemctl daemon-reload; systemctl restart ibkr-gateway", timeout_s=90)
    scene.machine.wait("a session", lambda: scene.code() == 0 and scene.is_new_session(), within_s=90)
    scene.machine.wait("the login's end", scene.login_rests, within_s=30)


def _reboot(scene: Scene) -> None:
    scene.count()
    scene.machine.container.reboot()


MACHINE = (
    Fault(name="disk full, session lost", blow=blow(_disk_full), loses=True, until=_is_full_and_said, back_s=240),
    Fault(name="/run full, session lost", blow=blow(_run_full), loses=True, until=_is_run_full_and_said, back_s=90),
    Fault(name="status.json: garbage", blow=_damage(STATUS, _garbage), loses=False),
    Fault(name="status.json: half", blow=_damage(STATUS, _half), loses=False),
    Fault(name="status.json: removed", blow=once(_removed), loses=False),
    Fault(name="pacing.json: garbage", blow=_damage(PACING, _garbage), loses=False),
    Fault(
        name="login_log.lock: garbage",
        blow=_damage(LOGIN_LOG.replace(".json", ".lock"), _garbage, drop=True),
        loses=True,
    ),
    Fault(
        name="login_log.json: half",
        blow=blow(_login_log_damaged),
        loses=True,
        until=said("locked-out"),
        share=1,
    ),
    Fault(name="clock jumps, and back", blow=blow(_clock), loses=None, share=4),
    Fault(name="reboot", blow=once(_reboot), loses=True, back_s=90, share=4),
)
