"""What the status file and the login log say to the doctor."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ibkr_tools.doctor.finding import CheckVerdict, Finding
from ibkr_tools.doctor.session_checks import judge_budget, judge_status
from ibkr_tools.doctor.subject import Extent
from ibkr_tools.login.budget import Budget
from ibkr_tools.status import (
    FetchSection,
    FlexSection,
    GatewaySection,
    LoginSection,
    SessionSection,
    SessionState,
    Status,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
WHY = "secret U7654321"


def gateway(**more: Any) -> GatewaySection:
    start = {"updated_at": NOW, "fresh_for_s": 20.0, "state": "up", "since": NOW, "port": 5000, "upstream": "https://x"}
    return GatewaySection(**{**start, **more})


def session(**more: Any) -> SessionSection:
    start = {"updated_at": NOW, "fresh_for_s": 30.0, "state": SessionState.UP, "since": NOW, "why": WHY}
    return SessionSection(**{**start, **more})


def wrong(status: Status, *, has_statements: bool = True) -> list[Finding]:
    found = judge_status(status, NOW, extent=Extent.FULL, has_statements=has_statements)
    return [finding for finding in found if finding.verdict is not CheckVerdict.OK]


OLD = NOW - timedelta(minutes=10)


@pytest.mark.parametrize(
    ("status", "verdict", "remedy"),
    [
        (
            Status(gateway=gateway(updated_at=OLD), session=session()),
            CheckVerdict.FAULT,
            "sudo systemctl restart ibkr-gateway",
        ),
        (
            Status(gateway=gateway(), session=session(updated_at=OLD)),
            CheckVerdict.FAULT,
            "sudo systemctl restart ibkr-watchdog",
        ),
        (Status(session=session(state=SessionState.LOCKED_OUT)), CheckVerdict.FAULT, "sudo ibkr-tools unlock"),
        (
            Status(session=session(state=SessionState.GATEWAY_DOWN)),
            CheckVerdict.FAULT,
            "sudo systemctl restart ibkr-gateway",
        ),
        (Status(session=session(paused=True)), CheckVerdict.NOTICE, "sudo ibkr-tools resume"),
        (Status(session=session(state=SessionState.MAINTENANCE)), CheckVerdict.NOTICE, "ibkr-tools status"),
        (Status(session=session(state=SessionState.LOST)), CheckVerdict.NOTICE, "ibkr-tools status"),
        (Status(session=session(limited_until=NOW + timedelta(minutes=9))), CheckVerdict.NOTICE, None),
        (
            Status(gateway=gateway(filtered=False), session=session()),
            CheckVerdict.FAULT,
            "sudo systemctl reload-or-restart ibkr-firewall",
        ),
        (
            Status(fetch=FetchSection(updated_at=NOW, state="failed", why=WHY)),
            CheckVerdict.NOTICE,
            "sudo systemctl start ibkr-fetch",
        ),
        (
            Status(flex=FlexSection(updated_at=NOW, state="action-required", why=WHY)),
            CheckVerdict.FAULT,
            "sudo ibkr-tools flex check",
        ),
        (
            Status(flex=FlexSection(updated_at=NOW, state="failed", why=WHY)),
            CheckVerdict.NOTICE,
            "sudo ibkr-tools flex fetch",
        ),
        (
            Status(flex=FlexSection(updated_at=NOW, state="succeeded", why=WHY, problems=(WHY,))),
            CheckVerdict.NOTICE,
            "sudo ibkr-tools status",
        ),
        (
            Status(login=LoginSection(updated_at=NOW, state="broken", why=WHY)),
            CheckVerdict.FAULT,
            "sudo ibkr-tools login",
        ),
    ],
)
def test_what_a_person_should_know_has_one_line(status: Status, verdict: CheckVerdict, remedy: str | None) -> None:
    (found,) = wrong(status)
    assert (found.verdict, found.remedy_text()) == (verdict, remedy)
    assert WHY.split()[1] not in found.message_text(is_public=True)


@pytest.mark.parametrize(
    "status",
    [
        Status(),
        Status(gateway=gateway(filtered=True), session=session()),
        # What was stopped says so, and is not silent.
        Status(
            gateway=gateway(state="stopped", fresh_for_s=0.0, updated_at=OLD),
            session=session(fresh_for_s=0.0, updated_at=OLD),
        ),
        Status(fetch=FetchSection(updated_at=OLD, state="succeeded", why=WHY)),
        Status(flex=FlexSection(updated_at=OLD, state="succeeded", why=WHY)),
        Status(login=LoginSection(updated_at=OLD, state="failed", why=WHY)),
    ],
)
def test_what_is_well_or_passes_is_no_line(status: Status) -> None:
    assert wrong(status) == []


def test_statements_that_are_no_longer_configured_are_past() -> None:
    assert wrong(Status(flex=FlexSection(updated_at=NOW, state="failed", why=WHY)), has_statements=False) == []


def test_every_state_of_a_session_has_a_verdict() -> None:
    for state in SessionState:
        found = wrong(Status(session=session(state=state)))
        assert (found == []) is (state in {SessionState.UP, SessionState.PAUSED}), state


@pytest.mark.parametrize(
    ("budget", "verdict"),
    [
        (Budget(allowed=True, why=WHY), CheckVerdict.OK),
        (Budget(allowed=False, wait_until=NOW, why=WHY), CheckVerdict.OK),
        (Budget(allowed=False, failures_24h=1, wait_until=NOW, why=WHY), CheckVerdict.NOTICE),
        (Budget(allowed=False, locked=True, why=WHY), CheckVerdict.FAULT),
        (Budget(allowed=False, person=True, why=WHY), CheckVerdict.FAULT),
    ],
)
def test_a_spent_budget_needs_a_person(budget: Budget, verdict: CheckVerdict) -> None:
    (found,) = judge_budget(budget, is_installed=True)
    assert found.verdict is verdict
    assert "U7654321" not in found.message_text(is_public=True)
