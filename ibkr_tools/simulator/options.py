"""What a simulator is told before it starts. Nothing here can be changed while it runs; see `settings` for that."""

import re
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from ibkr_tools.simulator_ports import SIMULATOR_CONTROL_PORT, SIMULATOR_PORT

__all__ = ["DEFAULT_USERS", "SimulatorOptions", "User", "UserKind", "account_numbers"]


class UserKind(StrEnum):
    """What IBKR lets a user do: a read-only user can never open the brokerage tier."""

    READ_ONLY = "read-only"
    TRADING = "trading"


@dataclass(frozen=True, slots=True)
class User:
    """One user known to the simulator; names are compared in lower case, as IBKR does."""

    username: str
    password: str = field(repr=False)
    kind: UserKind = UserKind.READ_ONLY
    paper: bool = False
    advisor: bool = False

    @property
    def user_id(self) -> int:
        """Stable made-up number, the `userId` of `/tickle`."""
        return 90_000_000 + sum(self.username.encode()) % 10_000


DEFAULT_USERS = (
    User("demo-reader", "demo-password", UserKind.READ_ONLY),
    User("demo-trader", "demo-password", UserKind.TRADING),
    User("demo-paper", "demo-password", UserKind.TRADING, paper=True),
    User("demo-advisor", "demo-password", UserKind.TRADING, advisor=True),
)


def account_numbers(first: str, count: int) -> tuple[str, ...]:
    """Return `count` account numbers that count upwards from `first`, for instance U1234567, U1234568."""
    match = re.fullmatch(r"(.*?)([0-9]+)([^0-9]*)", first)
    if match is None:
        return (first,)
    letters, digits, suffix = match.groups()
    return tuple(f"{letters}{int(digits) + index:0{len(digits)}d}{suffix}" for index in range(count))


@dataclass(frozen=True, slots=True)
class SimulatorOptions:
    """Options of one simulator.

    With `certificate` and `key` (PEM files) it speaks TLS and behaves *as* the gateway; without them it
    speaks plain HTTP and behaves as IBKR's servers *behind* a gateway. Port 0 means any free port.
    Durations are simulated time: with `speed` 60 a session that is idle for six minutes dies after six seconds.
    `positions` is the number of rows in every account. With `years` the accounts have lived that long: they hold what
    the ledger of their life has at the end of the last business day, and have about so many positions.
    """

    host: str = "127.0.0.1"
    port: int = SIMULATOR_PORT
    control_port: int = SIMULATOR_CONTROL_PORT
    certificate: Path | None = None
    key: Path | None = None
    seed: int = 1
    accounts: tuple[str, ...] = ("U1234567",)
    positions: int = 237
    years: int = 0
    users: tuple[User, ...] = DEFAULT_USERS
    speed: float = 1.0
    sso_idle: timedelta = timedelta(minutes=10)
    brokerage_idle: timedelta = timedelta(minutes=6)
    session_lifetime: timedelta = timedelta(hours=24)
    brokerage_delay: timedelta = timedelta(seconds=3)

    @property
    def is_gateway(self) -> bool:
        """Whether the simulator plays the gateway itself instead of the servers behind it."""
        return self.certificate is not None

    def __post_init__(self) -> None:
        """Refuse combinations that cannot work. Raises ValueError."""
        if (self.certificate is None) != (self.key is None):
            msg = "certificate and key are needed together"
            raise ValueError(msg)
        if not self.accounts:
            msg = "at least one account is needed"
            raise ValueError(msg)
        if self.speed <= 0:
            msg = "speed must be above zero"
            raise ValueError(msg)
        if self.positions < 0 or self.years < 0:
            msg = "positions and years cannot be negative"
            raise ValueError(msg)
