"""Parses an HTTP answer of the gateway: returns its decoded payload, or raises what it states. No I/O.

IBKR reports failure in six shapes, often with HTTP 200, and a missing session in at least five. The tables are
from recordings of public projects and from the gateway's own program (build of 2023-04-24).
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from ibkr_tools.duration_format import format_wait
from ibkr_tools.errors import (
    BrokerageUnavailable,
    ConfigError,
    DataError,
    ErrorResponse,
    IbkrError,
    MalformedResponse,
    PreflightMissing,
    RateLimited,
    SessionUnavailable,
    UpstreamUnavailable,
)
from ibkr_tools.portal.json_decoder import decode_json
from ibkr_tools.portal.rate_limit_state import penalty_duration_s
from ibkr_tools.retry_after import stated_wait_s
from ibkr_tools.terminal_escape import replace_unprintable

_MAX_DETAIL_CHARS = 200
"""How much of a foreign text an error may carry, in characters."""

_REASONS = ("error", "detail", "text", "message", "failure_list", "title", "status")
"""Where IBKR's bodies say what went wrong, the most telling first."""


class Tickle(msgspec.Struct, frozen=True, kw_only=True):
    """What `/tickle` says about both tiers.

    `session` is IBKR's id of the session (it is a secret: never logged). The other fields are the brokerage tier's;
    `has_brokerage_status` says whether the answer had any of them.
    """

    has_session: bool
    session: str | None = None
    authenticated: bool = False
    connected: bool = False
    competing: bool = False
    collision: bool = False
    has_brokerage_status: bool = True


def _printable(value: object) -> str:
    """Returns a foreign text, or whatever else somebody put in its place, as the beginning of one printable line."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return replace_unprintable(text)[:_MAX_DETAIL_CHARS].strip()


def _detail(payload: object) -> str:
    """Returns the reason a JSON body states, in whichever of IBKR's shapes; empty if it states none."""
    if not isinstance(payload, Mapping):
        return ""
    reason = next(
        (_printable(payload[key]) for key in _REASONS if payload.get(key) and not _is_number(payload[key])), ""
    )
    arguments = payload.get("invalidArguments")
    invalid = (
        [argument for argument in arguments if isinstance(argument, Mapping)] if isinstance(arguments, list) else []
    )
    fields = ", ".join(
        f"{_printable(argument.get('field'))}: {_printable(argument.get('description'))}" for argument in invalid
    )
    return f"{reason}: {fields}"[:_MAX_DETAIL_CHARS] if fields else reason


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _error_for_reason(detail: str, where: str) -> IbkrError | None:
    """Returns the error that a stated reason stands for, None if the reason is unknown."""
    text = detail.lower()
    if "no session" in text or "not logged in" in text:
        return SessionUnavailable(f"{where}: {detail}")
    if "no bridge" in text or "init session first" in text:
        return BrokerageUnavailable(f"{where}: the brokerage session is not up ({detail})")
    if "accounts first" in text:
        return PreflightMissing(f"{where}: {detail}")
    if "failed to process request" in text:
        return UpstreamUnavailable(f"{where}: {detail}")
    return None


def _decode(body: bytes, where: str) -> Any:
    try:
        return decode_json(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if text := _text(body):
            raise DataError(f"{where}: a text instead of data ({text})") from None
        if "truncated" in str(error):
            raise UpstreamUnavailable(f"{where}: only a part of the answer came") from None
        raise MalformedResponse(f"{where}: the answer is not JSON ({error})") from None


def _text(body: bytes) -> str:
    """Returns the beginning of a plain text; half of what begins like data may hold what no journal should."""
    return _printable(body[: 4 * _MAX_DETAIL_CHARS].decode("utf-8", "replace")) if body[:1].isalpha() else ""


def _try_decode(body: bytes) -> Any:
    try:
        return decode_json(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _is_html(headers: Mapping[str, str], body: bytes) -> bool:
    return "html" in headers.get("Content-Type", "").lower() or body.lstrip()[:1] == b"<"


def _retry_after_s(headers: Mapping[str, str]) -> float:
    return stated_wait_s(headers.get("Retry-After", ""), headers.get("Date", ""))


def _raise_for_status(status: int, headers: Mapping[str, str], body: bytes, where: str) -> None:
    detail = _detail(_try_decode(body)) or ("" if _is_html(headers, body) else _text(body))
    stated = f" ({detail})" if detail else ""
    if status in {301, 302, 303, 307, 308}:
        target = headers.get("Location", "")
        if "/sso/" in target:
            raise SessionUnavailable(f"{where}: the gateway asks for a login")
        raise DataError(f"{where}: unknown to the gateway, which points elsewhere")
    if status in {401, 410, 601}:
        raise SessionUnavailable(f"{where}: no session (HTTP {status})")
    if status == 429:
        wait_s = penalty_duration_s(_retry_after_s(headers))
        raise RateLimited(
            f"{where}: too many requests (HTTP 429)", hint=f"Try again in {format_wait(wait_s)}.", wait_s=wait_s
        )
    if status == 403 and "AirTunes" in headers.get("Server", ""):
        raise ConfigError(
            f"{where}: AirPlay answers on this port, not the gateway", hint="Choose another gateway.port."
        )
    if status == 404 and body.strip() == b"Access Denied":
        raise ConfigError(
            f"{where}: the gateway does not admit this address",
            hint="Its conf.yaml must allow 127.0.0.1; restart ibkr-gateway to have it written again.",
        )
    error = _error_for_reason(detail, where) or _error_for_status(status, f"{where}: ", stated)
    if isinstance(error, UpstreamUnavailable):
        error.status, error.wait_s = status, _retry_after_s(headers) or None
    raise error


def _error_for_status(status: int, before: str, after: str) -> IbkrError:
    """Returns the error of a status that needs no other look at the answer."""
    if status == 423:
        text = f"{before}asked more often than IBKR allows (HTTP 423){after}"
        return UpstreamUnavailable(text, hint="Try again in five minutes.")
    if status >= 500 or status == 403:
        return UpstreamUnavailable(f"{before}IBKR answers HTTP {status}{after}")
    return ErrorResponse(f"{before}HTTP {status}{after}")


def parse(status: int, headers: Mapping[str, str], body: bytes, where: str) -> Any:
    """Returns the decoded JSON of a good answer.

    Args:
        status: the HTTP status.
        headers: the answer's headers, case-blind.
        body: all of the answer's body.
        where: method and path, for messages.

    Raises:
        SessionUnavailable: no session (401, 410, 601, redirect to the login, `{"error":"no session"}`).
        BrokerageUnavailable: "no bridge" or "Init session first".
        PreflightMissing: "Please query /accounts first".
        UpstreamUnavailable: 5xx (with its Retry-After), HTML with 200, 403 of the edge, 423, `failed to process
            request`.
        RateLimited: 429; `wait_s` is how long the penalty counts (docs/reference/pacing.md#after-a-429).
        ConfigError: another program on the port, or the gateway's address filter.
        MalformedResponse: what begins as JSON and is none.
        ErrorResponse: a stated error we do not know, with whatever status: `{"error":…}`, `"success":false`,
            `application/problem+json`; or another 4xx.
        DataError: a text instead of data.
    """
    if status not in {200, 204}:
        _raise_for_status(status, headers, body, where)
    if status == 204 or not body.strip():
        return None
    if _is_html(headers, body):
        raise UpstreamUnavailable(f"{where}: a web page instead of data")
    payload = _decode(body, where)
    if isinstance(payload, Mapping) and _states_failure(headers, payload):
        detail = _detail(payload)
        raise _error_for_reason(detail, where) or ErrorResponse(f"{where}: {detail or 'IBKR says that it failed'}")
    return payload


def _states_failure(headers: Mapping[str, str], payload: Mapping[str, Any]) -> bool:
    is_problem = "problem+json" in headers.get("Content-Type", "").lower()
    return bool(payload.get("error")) or payload.get("success") is False or is_problem


def parse_tickle(payload: Any, where: str = "POST /tickle") -> Tickle:
    """Reads a tickle in all the shapes seen: with and without `iserver`, `hmds`, `ssoExpires`.

    Raises:
        DataError: not an object.
        SessionUnavailable: `ssoExpires` is 0 or less, which IBKR's own page takes for expired.
    """
    if not isinstance(payload, Mapping):
        raise DataError(f"{where}: expected an object, got {type(payload).__name__}")
    expires = payload.get("ssoExpires")
    if isinstance(expires, bool) or not isinstance(expires, int | float):
        expires = None
    elif expires <= 0:
        raise SessionUnavailable(f"{where}: the session has expired")
    iserver = payload.get("iserver")
    status = iserver.get("authStatus") if isinstance(iserver, Mapping) else None
    status = status if isinstance(status, Mapping) else {}
    session = payload.get("session")
    return Tickle(
        has_session=bool(session) or expires is not None,
        session=session if isinstance(session, str) else None,
        authenticated=status.get("authenticated") is True,
        connected=status.get("connected") is True,
        competing=status.get("competing") is True,
        collision=payload.get("collission") is True,
        has_brokerage_status=bool(status),
    )


def parse_validation(payload: Any, where: str = "GET /sso/validate") -> bool:
    """Reads `/sso/validate`: True while the portfolio tier is alive. A dead session may answer 0.

    Source: docs/reference/session.md#validate-dead.
    """
    if isinstance(payload, int | float) and payload == 0:
        return False
    if isinstance(payload, Mapping) and isinstance(payload.get("RESULT"), bool):
        return bool(payload["RESULT"])
    raise DataError(f"{where}: no RESULT in the answer")


def parse_records(payload: Any, where: str) -> list[dict[str, Any]]:
    """Returns a list of objects as it came.

    Raises:
        DataError: not a list, or a row that is not an object.
    """
    if not isinstance(payload, list) or not all(isinstance(row, dict) for row in payload):
        raise DataError(f"{where}: expected a list of objects")
    return payload
