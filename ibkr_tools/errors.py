"""The one exception tree; every class owns its exit code, with which `entrypoint.run` ends the program.

    IbkrError                      70  our bug, if it ever reaches a person unspecialised
    ├── UsageError                  2  the command line, a jq program or a resource name is wrong
    ├── DataError                  65  the gateway answered something we do not understand
    │   ├── MalformedResponse      65  an answer that is no whole JSON or XML
    │   └── ErrorResponse          65  IBKR refuses this one call, for a reason of its own
    ├── GatewayUnavailable         69  no answer on the gateway's port
    │   └── PortTaken              69  another program listens there
    ├── DatabaseUnavailable        69  the server of the history's database does not answer
    ├── OutputError                73  a result could not be written
    ├── DeliveryFailed             75  a message could not be told; it is kept
    ├── SnapshotMissing            75  nothing has been saved yet
    ├── StatementUnavailable       75  IBKR's reporting has no statement for now: try again later
    │   └── StatementMissing       75  none of days that are long past
    ├── SessionUnavailable         75  no session yet, or lost on the way: try again later
    │   ├── BrokerageUnavailable   75  the portfolio tier is up, the brokerage tier is not
    │   ├── PreflightMissing       75  an endpoint wants its list of accounts asked for first
    │   ├── UpstreamUnavailable    75  the gateway runs, IBKR answers that it cannot
    │   │   └── UpstreamSilent     75  the gateway runs, nothing comes back from IBKR
    │   ├── ImplausibleResponse    75  an answer that cannot be true beside the others
    │   ├── RateLimited            75  asked too often, or IBKR said so (429)
    │   └── LoginFailed            75  the page did not lead to a session, no refusal seen
    ├── ActionRequired             77  a person must act; never retried by a machine
    │   ├── LoginRefused           77  IBKR refused user name and password
    │   └── LockedOut              77  the login budget is spent
    └── ConfigError                78  the operator must edit or install something
        ├── AccessDenied           78  this user may not read a file of the services
        ├── AccountUnavailable     78  one account alone does not answer: it was closed or moved
        ├── DistributionError      78  IBKR's gateway is missing or not what it should be
        ├── JavaUnavailable        78  Java is missing or too old
        └── BrowserUnavailable     78  Chromium or its driver is missing or does not fit

Codes are those of sysexits.h; systemd prints their names. 2 is what Typer uses for a bad command line.
"""

from pathlib import Path
from typing import ClassVar, Self

from ibkr_tools.installation import RELOAD_FILTER


class IbkrError(Exception):
    """Base of every error that a person is told about in one line.

    `hint` says what the operator can do; it is printed on its own line. `log_level` is a level number of Python's
    logging, with which the journal has the message.
    """

    exit_code: ClassVar[int] = 70
    log_level: ClassVar[int] = 40

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def add(self, more: str) -> None:
        """Adds to the message what whoever raised it could not know."""
        self.message = f"{self.message}; {more}"
        self.args = (self.message,)


class UsageError(IbkrError, ValueError):
    """The command line, or an argument in Python, asks for something that does not exist or does not parse."""

    exit_code = 2


class DataError(IbkrError):
    """The gateway answered something that is not what its documentation or any recording shows."""

    exit_code = 65


class MalformedResponse(DataError):
    """An answer is no JSON, or JSON or XML that ends before it is whole: asked again, it may come whole."""


class ErrorResponse(DataError):
    """IBKR answers this call with an error that is not about the session: 4xx, or `{"error":…}` with any status."""


class GatewayUnavailable(IbkrError):
    """Nothing answers on the gateway's port."""

    exit_code = 69


class PortTaken(GatewayUnavailable):
    """Another program already listens on the gateway's port."""


class DatabaseUnavailable(IbkrError):
    """The server with the history's database does not answer; nothing has changed there."""

    exit_code = 69


class OutputError(IbkrError):
    """A result could not be written; what was there before is intact."""

    exit_code = 73


class DeliveryFailed(IbkrError):
    """The command that tells a person did not do so; the message is kept, and a later try may succeed by itself."""

    exit_code = 75


class SnapshotMissing(IbkrError):
    """No snapshot has been saved yet; the next `fetch --save` leaves one."""

    exit_code = 75


class StatementUnavailable(IbkrError):
    """IBKR's Flex Web Service gives no statement for now, or not of all the days; a later try may succeed by itself."""

    exit_code = 75


class StatementMissing(StatementUnavailable):
    """IBKR has no statement of these days, which are long past."""


class SessionUnavailable(IbkrError):
    """There is no session, or it was lost on the way; a later try may succeed by itself."""

    exit_code = 75


class BrokerageUnavailable(SessionUnavailable):
    """The brokerage tier is missing; a read-only user never has it."""


class PreflightMissing(SessionUnavailable):
    """IBKR wants `/portfolio/accounts` or `/iserver/accounts` called before this endpoint."""


class UpstreamUnavailable(SessionUnavailable):
    """The gateway runs, but IBKR does not answer, or answers that it cannot.

    `status` is the HTTP status, None where it is no part of the trouble; `wait_s` is the answer's Retry-After in
    seconds, None where it has none.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, status: int | None = None, wait_s: float | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.wait_s = wait_s


class UpstreamSilent(UpstreamUnavailable):
    """The gateway took the request, and nothing came back in time: IBKR is out of reach, or the gateway is stuck."""


class ImplausibleResponse(SessionUnavailable):
    """An answer cannot be true beside the others, such as no balances of an account with positions; a later one may."""


class RateLimited(SessionUnavailable):
    """It is not this call's turn, or IBKR answered 429 and the penalty lasts (docs/reference/pacing.md#after-a-429).

    `wait_s` is in how many seconds the call is possible, None where nobody knows.
    """

    def __init__(self, message: str, *, hint: str | None = None, wait_s: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.wait_s = wait_s


class LoginFailed(SessionUnavailable):
    """A login ended without a session, and without IBKR refusing the password."""


class ActionRequired(IbkrError):
    """Only a person can go on from here; no machine may retry."""

    exit_code = 77


class LoginRefused(ActionRequired):
    """IBKR refused user name and password."""


class LockedOut(ActionRequired):
    """The login budget is spent; nothing logs in until a person says `ibkr-tools unlock`."""


class ConfigError(IbkrError):
    """The operator must edit or install something."""

    exit_code = 78


class AccessDenied(ConfigError):
    """This user may not read a file of the services; root may, and the members of the group."""

    @classmethod
    def to(cls, file: Path) -> Self:
        """Returns the error for a file, with what makes a member, to be pasted as it is."""
        return cls(
            f"{file}: not readable by this user",
            # The packet filter has to know the new member too.
            hint=f"As root, or join the group and log in again: sudo adduser $USER ibkr && {RELOAD_FILTER}",
        )


class AccountUnavailable(ConfigError):
    """One account answers nothing but errors while the others answer: it was closed, or moved to another company."""


class DistributionError(ConfigError):
    """IBKR's gateway is missing, broken or not what it claims to be."""


class JavaUnavailable(ConfigError):
    """Java is missing, does not answer or is too old for IBKR's gateway."""


class BrowserUnavailable(ConfigError):
    """Chromium or its driver is missing, or the two do not fit together."""
