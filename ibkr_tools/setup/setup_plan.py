"""Which units are enabled, started and stopped after an answer, and what a person does next. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ibkr_tools.setup.answers import NONE

GATEWAY_UNIT = "ibkr-gateway.service"
LOGIN_UNIT = "ibkr-login.service"
WATCHDOG_UNIT = "ibkr-watchdog.service"
FETCH_TIMER = "ibkr-fetch.timer"
SIMULATOR_UNIT = "ibkr-simulator.service"


@dataclass(frozen=True, kw_only=True)
class SystemdState:
    """What systemd says before anything is changed.

    `calendar` is the normalised expression of the timer's OnCalendar=, None where it has none or several.
    """

    gateway_active: bool
    timer_enabled: bool
    calendar: str | None


@dataclass(frozen=True, kw_only=True)
class Change:
    """What the answers change. `schedule` is a normalised expression, `none`, or None: it stays as it is."""

    user: bool
    account: bool
    schedule: str | None


def change_of(before: Mapping[str, Any], after: Mapping[str, Any], schedule: str | None) -> Change:
    """Returns what differs between two configurations, and the schedule."""
    return Change(
        user=before.get("username") != after.get("username"),
        account=before.get("account") != after.get("account"),
        schedule=schedule,
    )


def needs_drop_in(change: Change, state: SystemdState) -> bool:
    """Says whether the timer has to be told of another time than the one that it has."""
    return change.schedule not in {None, NONE, state.calendar}


def drop_in(schedule: str) -> str:
    """Returns the drop-in with which the timer has this one time."""
    return f"# Written by `ibkr-tools setup`, which replaces it.\n[Timer]\nOnCalendar=\nOnCalendar={schedule}\n"


def systemctl_calls(
    change: Change, state: SystemdState, *, start: bool, simulator: bool = False
) -> Iterator[tuple[str, ...]]:
    """Yields the arguments of each call of systemctl, in their order.

    A session of another user is no use, so that the gateway, whose memory holds it, is started again; a session that
    can be kept is kept.
    """
    if needs_drop_in(change, state):
        yield ("daemon-reload",)
    if change.schedule == NONE and state.timer_enabled:
        yield ("disable", "--now", FETCH_TIMER)
    if change.schedule not in {None, NONE} and not state.timer_enabled:
        yield ("enable", FETCH_TIMER)
    if start:
        yield ("enable", *([SIMULATOR_UNIT] if simulator else []), GATEWAY_UNIT)
        yield ("restart" if state.gateway_active and change.user else "start", GATEWAY_UNIT)
        if state.gateway_active and change.account and not change.user:
            yield ("restart", WATCHDOG_UNIT)
    is_new_time = needs_drop_in(change, state) or (change.schedule not in {None, NONE} and not state.timer_enabled)
    if is_new_time and (start or state.gateway_active):
        yield ("restart", FETCH_TIMER)


def next_step(exit_code: int) -> str:
    """Returns what a person does after a login, or the fetch of the first positions, that ended with this code."""
    return {
        69: "journalctl -u ibkr-gateway -n 20",
        75: "nothing has to be done: it is tried again by itself, and `ibkr-tools status` says when",
        77: "sudo ibkr-tools password, if the password is wrong; else `ibkr-tools status` says what to do",
        78: "correct that, then sudo ibkr-tools setup",
    }.get(exit_code, "ibkr-tools status")
