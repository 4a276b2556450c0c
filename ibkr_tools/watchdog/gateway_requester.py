"""Sends the state machine's requests to the gateway, and turns each answer or error into an event."""

from typing import assert_never

from loguru import logger

from ibkr_tools.errors import GatewayUnavailable, IbkrError, RateLimited, SessionUnavailable, UpstreamSilent
from ibkr_tools.portal import endpoints
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.watchdog.events import (
    AccountsResult,
    BrokerageResult,
    GatewayRequest,
    GatewayResult,
    TickleResult,
    ValidationResult,
    Verdict,
)


def verdict_of(error: IbkrError) -> Verdict:
    """Returns what an error of the client says about the portfolio tier; only a bare SessionUnavailable is DEAD."""
    if isinstance(error, GatewayUnavailable):
        return Verdict.GATEWAY_DOWN
    if isinstance(error, RateLimited):
        return Verdict.RATE_LIMITED
    if isinstance(error, UpstreamSilent):
        return Verdict.SILENT
    return Verdict.DEAD if type(error) is SessionUnavailable else Verdict.UNKNOWN


class GatewayRequester:
    """Sends one request at a time; each ends within the client's own deadline."""

    def __init__(self, client: PortalClient) -> None:
        self._client = client

    def send(self, request: GatewayRequest) -> GatewayResult:
        """Sends a request and returns its result."""
        match request:
            case GatewayRequest.TICKLE:
                return self._tickle()
            case GatewayRequest.VALIDATE:
                return self._validate()
            case GatewayRequest.CHECK_AUTH_STATUS:
                return self._check_auth_status()
            case GatewayRequest.LIST_ACCOUNTS:
                return self._list_accounts()
            case GatewayRequest.REAUTHENTICATE:
                return self._request_brokerage(endpoints.REAUTHENTICATE)
            case GatewayRequest.INIT_BROKERAGE:
                return self._init_brokerage(compete=False)
            case GatewayRequest.TAKE_BROKERAGE:
                return self._init_brokerage(compete=True)
            case _:
                assert_never(request)

    def _tickle(self) -> TickleResult:
        try:
            tickle = self._client.tickle()
        except IbkrError as error:
            logger.debug(f"tickle: {error.message}")
            return TickleResult(verdict_of(error), error.message)
        if not tickle.has_session:
            return TickleResult(Verdict.UNKNOWN, "the tickle names no session")
        logger.debug(f"tickled; brokerage authenticated: {tickle.authenticated}")
        return TickleResult(Verdict.ALIVE, tickle=tickle)

    def _validate(self) -> ValidationResult:
        try:
            is_alive = self._client.validate()
        except IbkrError as error:
            return ValidationResult(verdict_of(error), error.message)
        return ValidationResult(Verdict.ALIVE if is_alive else Verdict.DEAD, "IBKR says the session is over")

    def _check_auth_status(self) -> ValidationResult:
        try:
            self._client.request(endpoints.AUTH_STATUS)
        except IbkrError as error:
            return ValidationResult(verdict_of(error), error.message)
        return ValidationResult(Verdict.ALIVE)

    def _list_accounts(self) -> AccountsResult:
        try:
            rows = self._client.accounts()
        except IbkrError as error:
            return AccountsResult(verdict_of(error), error.message)
        # Called once, to confirm a new session; the gateway's handshake for the brokerage tier follows a moment later.
        self._client.reserve_headroom()
        return AccountsResult(Verdict.ALIVE, accounts=tuple(str(row["id"]) for row in rows if "id" in row))

    def _init_brokerage(self, *, compete: bool) -> BrokerageResult:
        # IBKR takes the one flag only with the other.
        return self._request_brokerage(endpoints.SSODH_INIT, {"publish": True, "compete": compete})

    def _request_brokerage(self, endpoint: endpoints.Endpoint, body: object = None) -> BrokerageResult:
        try:
            answer = self._client.request(endpoint, body=body)
        except IbkrError as error:
            logger.warning(f"asked for the brokerage tier: {error.message}")
            return BrokerageResult(verdict_of(error), error.message)
        logger.info(f"asked for the brokerage tier: {endpoint.name}")
        if isinstance(answer, dict) and answer.get("fail"):
            return BrokerageResult(Verdict.UNKNOWN, f"IBKR says: {str(answer['fail'])[:200]}")
        return BrokerageResult(Verdict.ALIVE)
