"""The metrics of one instance, in the words of Prometheus. Pure.

Names, units and labels follow https://prometheus.io/docs/practices/naming/. No sample has a timestamp: node_exporter
refuses those. What is not known has no sample, so that an alert on its absence works; closed positions vanish.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from ibkr_tools.config.schema import MetricsConfig
from ibkr_tools.fetch.snapshot import Snapshot
from ibkr_tools.metrics.readings import Readings
from ibkr_tools.status import FlexSection, GatewaySection, LoginSection, Section, SessionSection, SessionState

FIGURES_FOR = timedelta(days=7)
"""How old a snapshot may be for its figures to be shown: Prometheus takes them for the present ones."""


INSTANCE_LABEL = "ibkr_instance"
"""The name of the instance, where it has one. The label `instance` is Prometheus' own."""


class _Readings(Collector):
    def __init__(self, readings: Readings, config: MetricsConfig, version: str) -> None:
        self._version = version
        self._readings = readings
        self._config = config

    def collect(self) -> Iterator[Metric]:
        instance = self._readings.instance
        for metric in self._collect():
            for sample in metric.samples:
                if instance:
                    # Two files with a sample of one name and the same labels are an error to node_exporter.
                    sample.labels[INSTANCE_LABEL] = instance
            yield metric

    def _collect(self) -> Iterator[Metric]:
        readings = self._readings
        yield InfoMetricFamily("ibkr_tools", "The version of ibkr-tools.", value={"version": self._version})
        status = readings.status
        if status.gateway is not None:
            yield from _gateway(status.gateway, readings.now)
        if status.session is not None:
            yield from _session(status.session, readings.now)
        yield from _logins(readings)
        yield from _requests(readings)
        yield from _memory(readings.memory_bytes)
        if status.flex is not None:
            yield from _flex(status.flex)
        if readings.snapshot is not None:
            snapshot = readings.snapshot
            yield _gauge(
                "ibkr_snapshot_timestamp_seconds",
                "When the last complete snapshot was taken, as Unix time.",
                snapshot.as_of.timestamp(),
            )
            if self._config.figures != "none" and snapshot.age(readings.now) <= FIGURES_FOR:
                yield from _account_totals(snapshot, self._config.account_names)
                if self._config.figures == "positions":
                    yield from _positions(snapshot, self._config.account_names)
        if status.fetch is not None and status.fetch.state != "waiting":
            yield _gauge(
                "ibkr_fetch_success", "Whether the last fetch succeeded.", float(status.fetch.state == "succeeded")
            )


def metrics_text(readings: Readings, config: MetricsConfig, version: str) -> bytes:
    """Returns the metrics in Prometheus' text format; `version` is that of ibkr-tools."""
    registry = CollectorRegistry()
    registry.register(_Readings(readings, config, version))
    return generate_latest(registry)


def account_label(account: str, names: Mapping[str, str]) -> str:
    """Returns what an account is called: the name of the configuration, or eight digits that do not show its number."""
    return names.get(account) or sha256(f"ibkr-tools account {account}".encode()).hexdigest()[:8]


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _is_running(section: Section, now: datetime) -> bool:
    return not section.is_stale(now)


def _gateway(section: GatewaySection, now: datetime) -> Iterator[Metric]:
    is_up = section.state == "up" and _is_running(section, now)
    yield _gauge("ibkr_gateway_up", "Whether IBKR's gateway answers on this machine.", float(is_up))
    if section.filtered is not None:
        yield _gauge(
            "ibkr_gateway_filtered", "Whether the packet filter guards the gateway's port.", float(section.filtered)
        )


def _session(section: SessionSection, now: datetime) -> Iterator[Metric]:
    is_running = _is_running(section, now)
    yield _gauge("ibkr_watchdog_up", "Whether the watchdog runs: without it the rest is old.", float(is_running))
    has_session = is_running and section.state in {SessionState.UP, SessionState.DEGRADED}
    yield _gauge("ibkr_session_up", "Whether there is a session.", float(has_session))
    states = GaugeMetricFamily(
        "ibkr_session_state", "1 for the state of the session, 0 for all others.", labels=["state"]
    )
    for state in SessionState:
        states.add_metric([state.value], float(is_running and state is section.state))
    yield states
    yield _gauge(
        "ibkr_session_state_timestamp_seconds", "Since when it is that state, as Unix time.", section.since.timestamp()
    )
    if section.up_since is not None:
        yield _gauge(
            "ibkr_session_start_timestamp_seconds",
            "When the present session was first confirmed, as Unix time.",
            section.up_since.timestamp(),
        )
    yield CounterMetricFamily(
        "ibkr_session_losses", "Sessions that were lost since the watchdog started.", value=section.losses
    )
    yield CounterMetricFamily(
        "ibkr_session_recoveries",
        "Sessions that came back after a loss since the watchdog started.",
        value=section.recoveries,
    )
    yield CounterMetricFamily(
        "ibkr_session_recovery_seconds",
        "Seconds from loss to session of all recoveries together.",
        value=section.recovery_total_s,
    )
    if section.last_recovery_s is not None:
        yield _gauge(
            "ibkr_session_last_recovery_seconds",
            "Seconds from the last loss to the session after it.",
            section.last_recovery_s,
        )
    yield _gauge("ibkr_session_paused", "Whether a person asked that nothing logs in.", float(section.paused))
    yield _gauge("ibkr_person_needed", "Whether a person must do something for the session.", float(bool(section.todo)))


def _logins(readings: Readings) -> Iterator[Metric]:
    if readings.login_attempts is not None:
        yield CounterMetricFamily(
            "ibkr_login_attempts",
            "Passwords that were submitted since the login log began.",
            value=readings.login_attempts,
        )
    if (budget := readings.budget) is not None:
        last_day = GaugeMetricFamily("ibkr_logins_last_day", "Logins of the last 24 hours.", labels=["result"])
        last_day.add_metric(["succeeded"], budget.logins_24h)
        last_day.add_metric(["failed"], budget.failures_24h)
        yield last_day
        yield _gauge(
            "ibkr_login_failures_left", "Logins that may fail before unattended ones stop.", budget.failures_left
        )
        yield _gauge("ibkr_login_locked", "Whether nothing logs in until a person unlocks it.", float(budget.locked))
    section: LoginSection | None = readings.status.login
    if section is not None:
        yield _gauge(
            "ibkr_login_timestamp_seconds", "When the last login ended, as Unix time.", section.updated_at.timestamp()
        )
        if section.duration_s is not None:
            yield _gauge("ibkr_login_duration_seconds", "How long the last login took.", section.duration_s)


def _requests(readings: Readings) -> Iterator[Metric]:
    yield CounterMetricFamily(
        "ibkr_requests", "Requests to IBKR's Web API since the machine started.", value=readings.requests.sent
    )
    yield CounterMetricFamily(
        "ibkr_rate_limited",
        "Answers 429 (too many requests) since the machine started.",
        value=readings.requests.limited,
    )
    section = readings.status.session
    limited_until = section.limited_until if section is not None else None
    left_s = 0.0 if limited_until is None else max(0.0, (limited_until - readings.now).total_seconds())
    yield _gauge("ibkr_rate_limit_penalty_seconds", "For how long nothing is sent after a 429.", left_s)


def _memory(memory_bytes: Mapping[str, int]) -> Iterator[Metric]:
    family = GaugeMetricFamily(
        "ibkr_unit_memory_bytes", "Memory of a unit, as systemctl status shows it.", labels=["unit"]
    )
    for name, size in memory_bytes.items():
        family.add_metric([name], size)
    if memory_bytes:
        yield family


def _midnight(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def _flex(section: FlexSection) -> Iterator[Metric]:
    yield _gauge("ibkr_flex_success", "Whether statements came at the last try.", float(section.state == "succeeded"))
    if section.covered_to is not None:
        yield _gauge(
            "ibkr_flex_covered_to_timestamp_seconds",
            "The last day of the statements, as Unix time of its beginning (UTC).",
            _midnight(section.covered_to),
        )
    if section.token_expires is not None:
        yield _gauge(
            "ibkr_flex_token_expires_timestamp_seconds",
            "The last day of the token, as Unix time of its beginning (UTC).",
            _midnight(section.token_expires),
        )


def _account_totals(snapshot: Snapshot, names: Mapping[str, str]) -> Iterator[Metric]:
    values = GaugeMetricFamily(
        "ibkr_net_liquidation_value", "What an account is worth, in its base currency.", labels=["account", "currency"]
    )
    cash = GaugeMetricFamily(
        "ibkr_cash_value", "Cash of an account, in its base currency.", labels=["account", "currency"]
    )
    balances = snapshot.balances()
    for account in snapshot.covers.accounts:
        labels = [account_label(account, names), balances.base(account)]
        if (worth := balances.net_liquidation(account)) is not None:
            values.add_metric(labels, float(worth))
        balance = balances.cash(account)
        if balance is not None and balance.cash is not None:
            cash.add_metric(labels, float(balance.cash))
    yield from (family for family in (values, cash) if family.samples)


def _positions(snapshot: Snapshot, names: Mapping[str, str]) -> Iterator[Metric]:
    """Yields the open positions; those of one contract in one account are added up (advisors' models, segments)."""
    if "positions" not in snapshot:
        return
    figures: dict[str, dict[tuple[str, ...], Decimal]] = {"value": {}, "quantity": {}, "unrealized": {}}
    balances = snapshot.balances()
    for holding in snapshot.holdings():
        if holding.is_closed:
            continue
        owner = balances.owner(holding.account)
        labels = (account_label(owner, names), holding.conid, holding.name, holding.currency)
        for name, figure in (
            ("value", holding.market_value),
            ("quantity", holding.quantity),
            ("unrealized", holding.unrealized),
        ):
            if figure is not None:
                figures[name][labels] = figures[name].get(labels, Decimal(0)) + figure
    label_names = ["account", "conid", "symbol", "currency"]
    families = {
        "value": GaugeMetricFamily("ibkr_position_value", "Market value of a position.", labels=label_names),
        "quantity": GaugeMetricFamily(
            "ibkr_position_quantity", "How much is held; negative: short.", labels=label_names
        ),
        "unrealized": GaugeMetricFamily(
            "ibkr_unrealized_pnl_value", "Profit and loss of a position that is not taken.", labels=label_names
        ),
    }
    for name, family in families.items():
        for values, figure in figures[name].items():
            family.add_metric(list(values), float(figure))
        if family.samples:
            yield family
