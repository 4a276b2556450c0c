"""Which units an answer enables, starts and stops."""

import pytest

from ibkr_tools.setup.setup_plan import (
    Change,
    SystemdState,
    change_of,
    drop_in,
    needs_drop_in,
    next_step,
    systemctl_calls,
)

SEVEN = "*-*-* 07:00:00"
FRESH = SystemdState(gateway_active=False, timer_enabled=False, calendar=SEVEN)
RUNNING = SystemdState(gateway_active=True, timer_enabled=True, calendar=SEVEN)
NOTHING = Change(user=False, account=False, schedule=None)


def calls(change: Change, state: SystemdState, *, start: bool = True, simulator: bool = False) -> list[str]:
    return [" ".join(call) for call in systemctl_calls(change, state, start=start, simulator=simulator)]


def test_a_first_run_enables_and_starts() -> None:
    change = change_of({}, {"username": "reader", "account": "U1"}, SEVEN)
    assert not needs_drop_in(change, FRESH)
    assert calls(change, FRESH) == [
        "enable ibkr-fetch.timer",
        "enable ibkr-gateway.service",
        "start ibkr-gateway.service",
        "restart ibkr-fetch.timer",
    ]


def test_the_simulator_is_enabled_with_the_gateway() -> None:
    assert calls(NOTHING, FRESH, simulator=True) == [
        "enable ibkr-simulator.service ibkr-gateway.service",
        "start ibkr-gateway.service",
    ]


def test_the_same_answers_again_change_nothing() -> None:
    """A session that is there is kept: starting what runs does nothing."""
    same = Change(user=False, account=False, schedule=SEVEN)
    for change in (NOTHING, same):
        assert calls(change, RUNNING) == ["enable ibkr-gateway.service", "start ibkr-gateway.service"]
        assert calls(change, RUNNING, start=False) == []


def test_another_user_gets_another_session() -> None:
    assert "restart ibkr-gateway.service" in calls(Change(user=True, account=True, schedule=None), RUNNING)
    assert calls(Change(user=True, account=True, schedule=None), FRESH)[-1] == "start ibkr-gateway.service"


def test_another_account_keeps_the_session() -> None:
    done = calls(Change(user=False, account=True, schedule=None), RUNNING)
    assert "restart ibkr-watchdog.service" in done
    assert not any("restart ibkr-gateway" in call for call in done)


def test_another_time_is_a_drop_in() -> None:
    change = Change(user=False, account=False, schedule="Mon..Fri *-*-* 18:00:00")
    assert needs_drop_in(change, RUNNING)
    assert calls(change, RUNNING, start=False) == ["daemon-reload", "restart ibkr-fetch.timer"]
    # Started without the gateway, the timer would have nothing to fetch from.
    assert calls(change, FRESH, start=False) == ["daemon-reload", "enable ibkr-fetch.timer"]
    assert drop_in("daily").splitlines()[1:] == ["[Timer]", "OnCalendar=", "OnCalendar=daily"]


def test_no_schedule_disables_the_timer() -> None:
    none = Change(user=False, account=False, schedule="none")
    assert not needs_drop_in(none, RUNNING)
    assert calls(none, RUNNING, start=False) == ["disable --now ibkr-fetch.timer"]
    assert calls(none, FRESH, start=False) == []


@pytest.mark.parametrize("code", [1, 69, 75, 77, 78, 130])
def test_there_is_always_a_next_step(code: int) -> None:
    assert next_step(code)
    assert ("ibkr-tools password" in next_step(code)) == (code == 77)
