"""A month in minutes: the real watchdog, login and simulated servers through 30 days of trouble, in virtual time.

Real are the watchdog's loop and machine, status file, pacing, login log and budget, the login's run from request to
report, the portal client's parsing and retries, and the simulator's servers behind HTTP as bytes. Stood in for are the
browser (three seconds, and the same calls that IBKR's page sends), sockets and TLS, and the two threads of the
watchdog that wait for the kernel: a WebSocket's frames are delivered as they are sent.
"""

import asyncio
import gc
import json
import os
import random
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from queue import Empty
from typing import Any

import msgspec
from loguru import logger

from bench.plan import DAY_S, HOUR_S, NEW_YORK, START, plan_of
from bench.processes import memory
from bench.virtual import UPTIME_S, VirtualTime
from bench.virtual_browser import VirtualBrowser
from bench.wire import Traffic, Wire, WiredClient, WiredListener
from bench.witness import Witness, WitnessedStatus
from ibkr_tools.alert_outbox import AlertMessage
from ibkr_tools.config.loader import load_config
from ibkr_tools.config.schema import Config
from ibkr_tools.directories import Directories
from ibkr_tools.errors import IbkrError
from ibkr_tools.login import login_runner as login
from ibkr_tools.login.login_log import LoginLog
from ibkr_tools.login.login_timers import Patience
from ibkr_tools.login.redaction import Redactor
from ibkr_tools.portal.rate_limiter import SharedRateLimiter
from ibkr_tools.sd_notify import SystemdNotifier
from ibkr_tools.simulator.application import make_application, make_context, pass_time
from ibkr_tools.simulator.clock import Clock
from ibkr_tools.simulator.control import obey
from ibkr_tools.simulator.options import SimulatorOptions
from ibkr_tools.simulator.websocket import HUB
from ibkr_tools.status import GatewaySection
from ibkr_tools.watchdog.__main__ import WATCHDOG_MAX_WAIT_S, WATCHDOG_READ_TIMEOUT_S
from ibkr_tools.watchdog.events import Tick
from ibkr_tools.watchdog.loop import Watchdog
from ibkr_tools.watchdog.time_source import TimeSource

BROWSER_S = 1.5
"""From a request to the page: what `bin/bench` measures for Chromium, with some air."""

PATIENCE = Patience(
    form=timedelta(seconds=0.5), unexpected=timedelta(), session=timedelta(), poll=timedelta(milliseconds=1)
)
"""In real time, which passes while no virtual time does: the page shows at once whatever it will ever show."""

JAVA_S = 1.5
PASSWORD = "demo-password"
USERS = {"portfolio": "demo-reader", "brokerage": "demo-trader"}
KINDS = {"portfolio": ("sts", "close", "silent"), "brokerage": ("sts", "close", "silent", "brokerage")}


class _Events:
    """The watchdog's queue: waiting for an event lets virtual time pass."""

    def __init__(self, time: VirtualTime, before_wait: Callable[[], None]) -> None:
        self._time = time
        self._before_wait = before_wait
        self._items: list[Any] = []

    def put(self, item: Any) -> None:
        """Adds one event."""
        self._items.append(item)

    def get(self, *, timeout: float) -> Any:
        """Returns the next event. Raises queue.Empty if none comes in time."""
        if not self._items:
            self._before_wait()
            self._time.wait(timeout, lambda: bool(self._items))
        if not self._items:
            raise Empty
        return self._items.pop(0)


class Month:
    """One month of one tier; `run` lives through it."""

    def __init__(self, root: Path, tier: str, *, days: float, seed: int, log: Path | None = None) -> None:
        self.tier, self.days, self.seed = tier, days, seed
        self.end_s = UPTIME_S + days * DAY_S
        self.time = VirtualTime(START)
        self._rng = random.Random(f"{seed} {tier}")
        self._directories = Directories(configuration=root / "config", runtime=root / "run", state=root / "state")
        self.config = self._configure()
        self._serve()
        self.plan = plan_of(days)
        self.witness = Witness(self.world, self.time.clock, tier == "brokerage", self.plan.outages())
        self.traffic.on_answer.append(self.witness.on_answer)
        self.status = WitnessedStatus(self._directories.status_file)
        self.status.heard = self.witness.on_status
        self.losses: list[str] = []
        self.logins: list[str] = []
        self.submitted_s: list[float] = []
        self.messages: list[str] = []
        self.restarts = 0
        self.memory_mb: list[float] = []
        self._logging_in = False
        self._events = _Events(self.time, self._do_what_is_asked)
        self._log = (log or Path(os.devnull)).open("w")
        logger.remove()
        self._log_sink = logger.add(
            self._log, level="INFO", format="{time:HH:mm:ss} {level: <7} {message}", diagnose=False, backtrace=False
        )
        self._watchdog = self._make_watchdog()

    def _configure(self) -> Config:
        file = self._directories.config_file
        for folder in (file.parent, self._directories.runtime, self._directories.certificate.parent):
            folder.mkdir(parents=True)
        # Nobody reads it: there is no TLS here, but a client wants one to trust.
        self._directories.certificate.touch()
        file.touch(0o600)
        user = {"username": USERS[self.tier], "password": PASSWORD, "account": "U1234567"}
        file.write_text(json.dumps({**user, "session": {"tier": self.tier}}))
        return load_config(file)

    def _serve(self) -> None:
        time, certificate = self.time, self._directories.certificate
        options = SimulatorOptions(certificate=certificate, key=certificate, positions=1)
        self.context = make_context(options, Clock(1.0, time.clock, START.timestamp()))
        self.world = self.context.world
        app = make_application(self.context)
        self.hub = app[HUB]
        self.traffic = Traffic()
        self.wire = Wire(time, app, self.traffic)
        obey(self.context, "/limits", {"enabled": True, "endpoint_penalty_s": 900.0})

    def _client(self, read_timeout_s: float, max_wait_s: float, *, owns_session: bool = False) -> WiredClient:
        time = self.time
        files = self._directories
        rate_limiter = SharedRateLimiter(
            files.pacing_file, files.penalty_file, shared=files.shared_pacing_file, clock=time.clock, wall=time.wall
        )
        return WiredClient(
            self.wire,
            self.config.gateway.port,
            self._directories.certificate,
            rate_limiter,
            read_timeout_s=read_timeout_s,
            max_wait_s=max_wait_s,
            owns_session=owns_session,
            pause=time.pause,
        )

    def _make_watchdog(self) -> Watchdog:
        return Watchdog(
            self._client(WATCHDOG_READ_TIMEOUT_S, WATCHDOG_MAX_WAIT_S, owns_session=True),
            self.config,
            self._directories,
            self.status,
            SystemdNotifier({}),
            make_listener=lambda deliver: WiredListener(self.time, self.hub, deliver),
            time_source=TimeSource(self.time.clock, self.time.now, self._events),
        )

    # Who else lives on the machine.

    def _do_what_is_asked(self) -> None:
        """Does what systemd's path units do: starts who was asked for by a file."""
        if self._directories.login_request.exists() and not self._logging_in:
            self._logging_in = True
            self.time.start(self._log_in)
        if self._directories.restart_request.exists():
            self._directories.restart_request.unlink()
            self.restarts += 1
            self.time.start(self._restart_java)

    def _log_in(self) -> None:
        """Runs one unattended login, as ibkr-login.service does."""
        client = self._client(login.SESSION_READ_TIMEOUT_S, 30.0)
        try:
            result = login.run_login(
                self.config,
                self._directories,
                self._directories.config_file,
                unattended=True,
                client=client,
                notifier=SystemdNotifier({}),
                clock=self.time.now,
                login_log=self.login_log(),
                patience=PATIENCE,
                open_browser=self._open_browser,
                wait_for_gateway=lambda *_: None,
            )
            self.logins.append(result.outcome.value)
        except IbkrError as error:
            self.logins.append(type(error).__name__)
            self._log.write(f"{self.time.now():%d. %H:%M:%S} login: {error.message}\n")
        finally:
            client.close()
            self._logging_in = False
            self._wake()

    def login_log(self) -> LoginLog:
        """Returns the login log, on the virtual machine's clocks."""
        uptime = self.time.clock
        return LoginLog(self._directories.login, self.config.login.logins_a_day, uptime=lambda: ("virtual", uptime()))

    @contextmanager
    def _open_browser(self, config: Config, _directories: Directories, redactor: Redactor) -> Iterator[VirtualBrowser]:
        """Starts a browser in the time that Chromium takes for it."""
        self._wake()
        self.time.pause(BROWSER_S)
        page = self.wire.connect()
        try:
            yield VirtualBrowser(
                self.time,
                page,
                config.username,
                PASSWORD,
                redactor,
                on_submit=lambda: self.submitted_s.append(self.time.clock()),
            )
        finally:
            page.close()

    def _restart_java(self) -> None:
        """Does what the gateway's parent and systemd do: the session was in Java's memory."""
        self.wire.is_down = True
        self.world.forget_gateway()
        self.time.loop.create_task(self.hub.close_all())
        self._say_gateway("stopped")
        self.time.pause(JAVA_S)
        self.wire.is_down = False
        self._say_gateway("up")

    def _say_gateway(self, state: Any) -> None:
        now = self.time.now()
        self.status.write(
            GatewaySection(
                updated_at=now, state=state, since=now, port=5000, upstream="simulator", java_pid=1000 + self.restarts
            )
        )
        self._wake()

    def _wake(self) -> None:
        """Has the watchdog read the files, as inotify would."""
        self._events.put(Tick())

    # What goes wrong.

    async def _at(self, clock_s: float) -> None:
        await asyncio.sleep(max(0.0, clock_s - self.time.clock()))

    async def _lose(self) -> None:
        """Loses the session three times a day, at any moment, in any way."""
        kinds = KINDS[self.tier]
        moments = sorted(
            (UPTIME_S + (day + self._rng.random()) * DAY_S, self._rng.choice(kinds))
            for day in range(int(self.days))
            for _ in range(3)
        )
        for moment_s, kind in moments:
            await self._at(moment_s)
            if not self.witness.is_served():
                continue
            self.losses.append(kind)
            self.witness.cause = kind
            tier, push = ("brokerage", "sts") if kind == "brokerage" else ("all", kind)
            obey(self.context, "/drop", {"tier": tier, "push": push})
            self.witness.cause = "expired"

    async def _reset_nightly(self) -> None:
        """Ends every session at New York's midnight, which summer time moves."""
        day = START.astimezone(NEW_YORK).date()
        while True:
            day += timedelta(days=1)
            midnight = datetime.combine(day, time(0), NEW_YORK).astimezone(UTC)
            at_s = self._clock_at(midnight)
            obey(self.context, "/behaviour", {"nightly_reset": f"{midnight:%H:%M}"})
            await self._at(at_s)
            self.witness.cause = "reset"
            self.context.age()
            self.witness.cause = "expired"
            await self._at(at_s + 12 * HOUR_S)

    def _clock_at(self, moment: datetime) -> float:
        return UPTIME_S + (moment - START).total_seconds()

    async def _close(self, kind: str, begin_h: float, hours: float, bulletin: str) -> None:
        """Closes IBKR's servers for a while."""
        await self._at(UPTIME_S + begin_h * HOUR_S)
        obey(self.context, "/maintenance", {"kind": kind, "for_s": hours * HOUR_S, "bulletin": bulletin})
        await self._edge()
        await self._at(UPTIME_S + (begin_h + hours) * HOUR_S)
        await self._edge()

    async def _edge(self) -> None:
        self.context.age()
        self.witness.look()
        await self.hub.beat()

    async def _refuse_logins(self, begin_h: float, hours: float) -> None:
        await self._at(UPTIME_S + begin_h * HOUR_S)
        obey(self.context, "/fault", {"path": "/sso/*", "kind": "status", "status": 503, "for_s": hours * HOUR_S})
        # Whoever has a session keeps it: at least one loss falls into the time in which there is no other.
        await self._at(UPTIME_S + (begin_h + hours / 2) * HOUR_S)
        obey(self.context, "/drop", {})

    async def _weigh(self) -> None:
        """Reads the memory once a tenth of the way is done, when all that is loaded late is there, and at the end."""
        for part in (0.1, 0.999):
            await self._at(UPTIME_S + part * self.days * DAY_S)
            gc.collect()
            self.memory_mb.append(memory(os.getpid()).rss)

    async def _end(self) -> None:
        await self._at(self.end_s)
        self._watchdog.stop()

    def run(self) -> None:
        """Lives through it."""
        plan = self.plan
        story: list[Coroutine[Any, Any, None]] = [
            pass_time(self.context, self.hub, 10.0),
            self._lose(),
            self._reset_nightly(),
            *(self._close(*one, "System maintenance is under way.") for one in plan.maintenance),
            self._close("hang", *plan.outage, ""),
            self._refuse_logins(*plan.refused),
            self._weigh(),
            self._end(),
        ]
        tasks = [self.time.loop.create_task(one) for one in story]
        self.witness.begin()
        self._say_gateway("up")
        self._watchdog.run()
        for task in tasks:
            if task.done():
                task.result()
        self.time.end()
        logger.remove(self._log_sink)
        self._log.close()
        for file in sorted(self._directories.outbox.glob("*.json")):
            message = msgspec.json.decode(file.read_bytes(), type=AlertMessage)
            self.messages += [] if message.over else [message.topic]
