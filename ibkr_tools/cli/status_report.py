"""The status for people and for scripts: a table, JSON, an exit code. Pure."""

from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from ibkr_tools.cli.durations import format_duration
from ibkr_tools.errors import ActionRequired, ConfigError, GatewayUnavailable, SessionUnavailable
from ibkr_tools.installation import HAS_SERVICES, INSTALL_SERVICES, LAYOUT, START_HINT
from ibkr_tools.number_format import display_width, wrap_text
from ibkr_tools.status import FlexSection, GatewaySection, LoginSection, Section, SessionSection, SessionState, Status
from ibkr_tools.terminal_escape import replace_unprintable

_LABEL_WIDTH = 9
"""Columns of the terminal; of the names of the sections."""

_SECTIONS = frozenset({"config", "gateway", "session", "login", "fetch", "flex", ""})


_EXAMINE = "sudo ibkr-tools doctor"
_NO_GATEWAY = "no gateway of ours has run here"
_FIRST_STEP = f"to do: {_EXAMINE}, which says what is missing" if HAS_SERVICES else START_HINT
_START = (
    f"to do, if it should run: sudo {START_HINT}; if that fails, {_EXAMINE} says why" if HAS_SERVICES else START_HINT
)


def _no_gateway(status: Status) -> list[str]:
    # `ibkr-tools up --simulate` has a session without a gateway of ours; statements need neither.
    return [_NO_GATEWAY] if HAS_SERVICES and (status.session or status.flex) else [_NO_GATEWAY, _FIRST_STEP]


def _without_first_steps(lines: list[str]) -> list[str]:
    """Returns what is said of the gateway where something else is to be done first, and said already."""
    return [line for line in lines if line not in {_FIRST_STEP, _START}]


def _since(at: datetime, now: datetime) -> str:
    return format_duration(max(0.0, (now - at).total_seconds()))


def _until(at: datetime, now: datetime) -> str:
    left = at - now
    return f"in {format_duration(left.total_seconds())}" if left > timedelta(seconds=0) else "now"


def _silence(section: Section, who: str, now: datetime) -> list[str]:
    if not section.is_stale(now):
        return []
    if section.fresh_for_s == 0:
        return [f"{who} was stopped {_since(section.updated_at, now)} ago; this is what it said last"]
    return [f"{who} has said nothing for {_since(section.updated_at, now)}; this may be out of date"]


def _gateway(section: GatewaySection, now: datetime) -> list[str]:
    lines = [f"{section.state} for {_since(section.since, now)}"]
    if section.state == "stopped":
        lines.append(_START)
    else:
        lines.append(f"https://127.0.0.1:{section.port} → {section.upstream}")
    if section.java_pid is not None:
        lines.append(f"Java {section.java_pid}, IBKR's build {section.build or 'unknown'}")
    if section.filtered is False and section.state != "stopped":
        lines.append("EXPOSED: no packet filter guards the port; whoever reaches it is the IBKR user")
        lines.append(f"to do: run it as a service ({INSTALL_SERVICES}), or sudo systemctl restart ibkr-firewall")
    return lines + _silence(section, "the gateway's parent", now)


def _session(section: SessionSection, now: datetime) -> list[str]:
    lines = [f"{section.state.value} for {_since(section.since, now)}: {section.why}"]
    if section.up_since is not None:
        accounts = ", ".join(section.accounts[:5]) + (" …" if len(section.accounts) > 5 else "")  # noqa: PLR2004
        lines.append(f"signed in for {_since(section.up_since, now)}; accounts {accounts or 'none'}")
    if section.paused:
        end = section.paused_until
        until = f"until {end:%Y-%m-%d %H:%M} UTC ({_until(end, now)})" if end else "until `ibkr-tools resume`"
        lines.append(f"paused {until}: nothing logs in")
    if section.limited_until is not None and section.limited_until > now:
        left = format_duration((section.limited_until - now).total_seconds())
        lines.append(f"IBKR says that too many requests were sent: none is for {left} more")
    if section.window:
        lines.append(f"at IBKR: {section.window}")
    if section.next is not None and section.next_at is not None and not section.is_stale(now):
        lines.append(f"next: {section.next} {_until(section.next_at, now)}")
    if section.losses:
        lines.append(f"lost {section.losses} {'time' if section.losses == 1 else 'times'} since the watchdog started")
    if section.todo:
        lines.append(f"to do: {section.todo}")
    return lines + _silence(section, "the watchdog", now)


def _login(section: LoginSection, now: datetime) -> list[str]:
    took = f" in {section.duration_s:.1f} s" if section.duration_s is not None else ""
    lines = [f"{section.state} {_since(section.updated_at, now)} ago{took}: {section.why}"]
    if section.failures_24h or section.logins_24h:
        lines.append(f"in 24 h: {section.logins_24h} succeeded, {section.failures_24h} failed")
    if section.logins_limited_until is not None and section.logins_limited_until > now:
        left = format_duration((section.logins_limited_until - now).total_seconds())
        lines.append(f"so many logins are noticed: unattended ones are an hour apart for {left} more")
    if section.recognised:
        lines.append(f"IBKR has changed its login page; no selector found {', '.join(sorted(section.recognised))}")
    lines += [f"please report it, with {path}" for path in section.page_reports]
    if section.retry_at is not None:
        lines.append(f"next try possible {_until(section.retry_at, now)}")
    if section.todo:
        lines.append(f"to do: {section.todo}")
    return lines


def _flex(section: FlexSection, now: datetime) -> list[str]:
    lines = [f"{section.state} {_since(section.updated_at, now)} ago: {section.why}"]
    if section.covered_to is not None:
        lines.append(f"statements until {section.covered_to}")
    lines += section.problems
    if section.todo:
        lines.append(f"to do: {section.todo}")
    return lines


def as_text(
    status: Status,
    now: datetime,
    *,
    problem: ConfigError | None = None,
    colour: Callable[[str], str] = str,
    width: int | None = None,
) -> str:
    """Returns the status as a table of two columns; what was never written says so.

    Args:
        status: the status file's content.
        now: aware.
        problem: what is wrong with the configuration.
        colour: returns a line as it is shown.
        width: how many columns the terminal has; None: lines are as long as they are.
    """
    gateway = _gateway(status.gateway, now) if status.gateway else _no_gateway(status)
    rows: list[tuple[str, list[str]]] = [
        ("gateway", gateway if problem is None else _without_first_steps(gateway)),
        ("session", _session(status.session, now) if status.session else ["no watchdog has run here"]),
        ("login", _login(status.login, now) if status.login else ["none yet"]),
    ]
    if problem is not None:
        rows.insert(0, ("config", _problem(problem)))
    if status.fetch is not None:
        lines = [f"{status.fetch.state} {_since(status.fetch.updated_at, now)} ago: {status.fetch.why}"]
        if status.fetch.saved and status.fetch.saved_at:
            lines.append(f"saved {_since(status.fetch.saved_at, now)} ago: {status.fetch.saved}")
        rows.append(("fetch", lines))
    else:
        rows.append(("fetch", ["none yet"]))
    if status.flex is not None:
        rows.append(("flex", _flex(status.flex, now)))
    return "\n".join(
        f"{name if number == 0 else '':<{_LABEL_WIDTH}}{shown}"
        for name, lines in rows
        for number, shown in enumerate(
            part for line in lines for part in _shown(LAYOUT.with_pages(replace_unprintable(line)), colour, width)
        )
    )


def fitted(text: str, *, colour: Callable[[str], str], width: int) -> str:
    """Returns what `as_text` has returned in another process, as it is shown at this terminal; the rest as it is."""
    lines = []
    for line in text.split("\n"):
        label, rest = line[:_LABEL_WIDTH], line[_LABEL_WIDTH:]
        if label.strip() not in _SECTIONS or not rest:
            lines.append(line)
            continue
        first, *more = _shown(rest, colour, width)
        lines += [f"{label}{first}", *(f"{'':<{_LABEL_WIDTH}}{part}" for part in more)]
    return "\n".join(lines)


def _shown(line: str, colour: Callable[[str], str], width: int | None) -> list[str]:
    """Returns a line as it is shown, in as many lines as the terminal wants."""
    if width is None or display_width(line) <= width - _LABEL_WIDTH:
        return [colour(line)]
    first, *more = wrap_text(line, max(width - _LABEL_WIDTH, 20))
    return [colour(first), *more]


def _problem(problem: ConfigError) -> list[str]:
    """Returns what is wrong with the configuration, and what to type."""
    lines = problem.message.splitlines()
    return [
        f"wrong: {lines[0]}",
        *(line.strip() for line in lines[1:]),
        *([problem.hint] if problem.hint else []),
        "to do: correct it (`ibkr-tools config check`), then sudo systemctl restart ibkr-gateway",
    ]


def as_json(status: Status, now: datetime, *, problem: ConfigError | None = None) -> str:
    """Returns the status file's content, with each section's age, and whether it may still be believed.

    `problem`: what is wrong with the configuration.
    """
    document = msgspec.to_builtins(status)
    for name in ("gateway", "session", "login", "fetch", "flex"):
        section: Section | None = getattr(status, name)
        if section is not None:
            document[name] |= {"age_s": round(section.age_s(now), 1), "stale": section.is_stale(now)}
    document["configuration_problem"] = problem.message if problem is not None else None
    document["healthy"] = exit_code(status, now) == 0
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def exit_code(status: Status, now: datetime) -> int:
    """Returns 0 if the session is up, 77 if a person must act, 69 without a gateway, 75 otherwise.

    Where statements alone are fetched, it is about these.
    """
    session = status.session
    if status.flex is not None and (status.gateway, session) == (None, None):
        codes = {"succeeded": 0, "action-required": ActionRequired.exit_code}
        return codes.get(status.flex.state, SessionUnavailable.exit_code)
    if session is not None and session.state is SessionState.LOCKED_OUT:
        return ActionRequired.exit_code
    gateway = status.gateway
    if gateway is not None and (gateway.state != "up" or gateway.is_stale(now)):
        return GatewayUnavailable.exit_code
    if session is None or session.is_stale(now):
        return GatewayUnavailable.exit_code if gateway is None else SessionUnavailable.exit_code
    if session.state is SessionState.GATEWAY_DOWN:
        return GatewayUnavailable.exit_code
    return 0 if session.state is SessionState.UP else SessionUnavailable.exit_code
