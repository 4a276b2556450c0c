"""The metrics say what the files of the units say, and nothing of the account unless it is asked for."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ibkr_tools.config.schema import MetricsConfig
from ibkr_tools.fetch.snapshot import Snapshot
from ibkr_tools.login.budget import Budget
from ibkr_tools.metrics.metric_families import FIGURES_FOR, account_label, metrics_text
from ibkr_tools.metrics.readings import Readings
from ibkr_tools.portal.rate_limiter import RequestCounts
from ibkr_tools.status import (
    FetchSection,
    FlexSection,
    GatewaySection,
    LoginSection,
    SessionSection,
    SessionState,
    Status,
)
from tests.support.snapshots import simulated, snapshot_of

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
EVERYTHING = MetricsConfig(figures="positions")
SESSION = SessionSection(
    updated_at=NOW,
    fresh_for_s=25,
    state=SessionState.UP,
    since=NOW - timedelta(hours=2),
    why="the portfolio tier answers",
    up_since=NOW - timedelta(hours=2),
    accounts=("U1234567",),
    losses=3,
    recoveries=2,
    recovery_total_s=9.5,
    last_recovery_s=4.25,
    limited_until=NOW + timedelta(seconds=90),
)
STATUS = Status(
    gateway=GatewaySection(
        updated_at=NOW, fresh_for_s=60, state="up", since=NOW, port=5000, upstream="https://api.ibkr.com", filtered=True
    ),
    session=SESSION,
    login=LoginSection(updated_at=NOW - timedelta(hours=2), state="succeeded", why="a session", duration_s=3.5),
    fetch=FetchSection(updated_at=NOW, state="failed", why="no session"),
    flex=FlexSection(updated_at=NOW, state="succeeded", why="kept", covered_to=NOW.date(), token_expires=NOW.date()),
)
READINGS = Readings(
    now=NOW,
    status=STATUS,
    budget=Budget(allowed=True, failures_24h=1, logins_24h=2, failures_left=3, why="logins are allowed"),
    login_attempts=41,
    requests=RequestCounts(sent=1200, limited=1),
    memory_bytes={"ibkr-gateway": 88_000_000},
    snapshot=Snapshot(simulated(NOW - timedelta(hours=1), accounts=2).encode()),
)


def samples(readings: Readings, config: MetricsConfig | None = None) -> dict[str, float]:
    """Returns the samples by name and labels, as Prometheus' own parser reads them."""
    text = metrics_text(readings, config or MetricsConfig(), "0.2.0").decode()
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sample.labels.items())
            key = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert key not in found
            assert sample.timestamp is None
            found[key] = sample.value
    return found


def test_what_the_units_say_is_there() -> None:
    found = samples(READINGS)
    assert found["ibkr_tools_info{version=0.2.0}"] == 1
    assert found["ibkr_gateway_up"] == found["ibkr_watchdog_up"] == found["ibkr_session_up"] == 1
    assert found["ibkr_gateway_filtered"] == 1
    assert found["ibkr_session_state{state=up}"] == 1
    assert sum(value for name, value in found.items() if name.startswith("ibkr_session_state{")) == 1
    assert found["ibkr_session_losses_total"] == 3
    assert (found["ibkr_session_recoveries_total"], found["ibkr_session_recovery_seconds_total"]) == (2, 9.5)
    assert found["ibkr_session_last_recovery_seconds"] == 4.25
    assert found["ibkr_login_attempts_total"] == 41
    assert found["ibkr_logins_last_day{result=succeeded}"] == 2
    assert found["ibkr_logins_last_day{result=failed}"] == 1
    assert (found["ibkr_login_failures_left"], found["ibkr_login_locked"]) == (3, 0)
    assert (found["ibkr_requests_total"], found["ibkr_rate_limited_total"]) == (1200, 1)
    assert found["ibkr_rate_limit_penalty_seconds"] == 90
    assert found["ibkr_unit_memory_bytes{unit=ibkr-gateway}"] == 88_000_000
    assert found["ibkr_snapshot_timestamp_seconds"] == (NOW - timedelta(hours=1)).timestamp()
    assert found["ibkr_fetch_success"] == 0
    assert found["ibkr_flex_success"] == 1
    assert found["ibkr_flex_token_expires_timestamp_seconds"] == datetime(2026, 11, 22, tzinfo=UTC).timestamp()


def test_a_watchdog_that_is_silent_has_no_session() -> None:
    """Whatever it said last."""
    found = samples(replace(READINGS, now=NOW + timedelta(minutes=2)))
    assert found["ibkr_watchdog_up"] == found["ibkr_session_up"] == found["ibkr_gateway_up"] == 0
    assert not any(value for name, value in found.items() if name.startswith("ibkr_session_state{"))
    assert found["ibkr_rate_limit_penalty_seconds"] == 0


@pytest.mark.parametrize("state", list(SessionState))
def test_only_a_session_is_up(state: SessionState) -> None:
    status = msgspec.structs.replace(STATUS, session=msgspec.structs.replace(SESSION, state=state))
    found = samples(replace(READINGS, status=status))
    assert found["ibkr_session_up"] == (state in {SessionState.UP, SessionState.DEGRADED})
    assert found[f"ibkr_session_state{{state={state.value}}}"] == 1


def test_what_is_not_known_has_no_sample() -> None:
    found = samples(Readings(now=NOW, status=Status()))
    assert set(found) == {
        "ibkr_tools_info{version=0.2.0}",
        *("ibkr_requests_total", "ibkr_rate_limited_total", "ibkr_rate_limit_penalty_seconds"),
    }


def test_nothing_of_the_account_is_there_unless_it_is_asked_for() -> None:
    text = metrics_text(READINGS, MetricsConfig(), "0.2.0").decode()
    assert "U1234567" not in text
    assert not re.search("account=|conid=|_value", text)


def test_totals_are_those_of_the_snapshot() -> None:
    config = MetricsConfig(figures="totals", account_names={"U1234567": "family"})
    found = samples(READINGS, config)
    assert READINGS.snapshot is not None
    balances = READINGS.snapshot.balances()
    values = {name: value for name, value in found.items() if name.startswith("ibkr_net_liquidation_value")}
    expected = [float(balances.net_liquidation(account) or 0) for account in READINGS.snapshot.covers.accounts]
    assert sorted(values.values()) == sorted(expected)
    assert "ibkr_net_liquidation_value{account=family,currency=EUR}" in values
    assert len([name for name in found if name.startswith("ibkr_cash_value")]) == 2
    assert not any("U1234567" in name or "position" in name for name in found)


def test_positions_are_there_on_demand() -> None:
    found = samples(READINGS, EVERYTHING)
    assert READINGS.snapshot is not None
    holdings = [holding for holding in READINGS.snapshot.holdings() if not holding.is_closed]
    quantities = [value for name, value in found.items() if name.startswith("ibkr_position_quantity")]
    assert sorted(quantities) == sorted(float(holding.quantity or 0) for holding in holdings)


def test_closed_positions_vanish_and_those_of_one_contract_are_one() -> None:
    row = {"acctId": "U1", "conid": 265598, "contractDesc": 'A"B\\C\nD', "currency": "USD", "assetClass": "STK"}
    rows = [
        {**row, "position": 3, "mktValue": 30.5, "mktPrice": 10.1, "model": "a"},
        {**row, "position": 4, "mktValue": 40.25, "mktPrice": 10.1, "model": "b"},
        {**row, "conid": 8314, "position": 0, "mktValue": 0.0, "mktPrice": 5},
    ]
    snapshot = snapshot_of({"positions": rows})
    found = samples(replace(READINGS, snapshot=snapshot), EVERYTHING)
    quantity = {name: value for name, value in found.items() if name.startswith("ibkr_position_quantity")}
    assert list(quantity.values()) == [7]
    (name,) = quantity
    assert "conid=265598" in name
    assert 'A"B\\C' in name
    (value,) = (value for name, value in found.items() if name.startswith("ibkr_position_value"))
    assert value == 70.75


def test_figures_of_an_old_snapshot_are_not_shown() -> None:
    """Prometheus takes them for today's."""
    old = replace(READINGS, snapshot=Snapshot(simulated(NOW - FIGURES_FOR - timedelta(minutes=1)).encode()))
    found = samples(old, EVERYTHING)
    assert "ibkr_snapshot_timestamp_seconds" in found
    assert not any("_value" in name for name in found)


def test_a_label_does_not_show_the_number() -> None:
    assert account_label("U1234567", {}) == account_label("U1234567", {})
    assert account_label("U1234567", {}) != account_label("U7654321", {})
    assert re.fullmatch("[0-9a-f]{8}", account_label("U1234567", {}))
    assert account_label("U1234567", {"U1234567": "family"}) == "family"


def test_every_metric_is_in_the_docs() -> None:
    """Name by name, in docs/metrics.md."""
    page = (Path(__file__).parents[3] / "docs/metrics.md").read_text()
    documented = set(re.findall(r"^\| `(ibkr_\w+)", page, re.MULTILINE))
    assert documented == {name.partition("{")[0] for name in samples(READINGS, EVERYTHING)}


def test_samples_of_an_instance_say_whose_they_are() -> None:
    """Those of the one without a name stay as they were: no two files have one sample."""
    plain, named = samples(READINGS), samples(replace(READINGS, instance="anna"))
    assert not any("ibkr_instance" in name for name in plain)
    assert all("ibkr_instance=anna" in name for name in named)
    assert not set(plain) & set(named)
    assert len(plain) == len(named)
