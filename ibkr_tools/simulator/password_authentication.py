"""Checks passwords: challenge, proof, failures, lock. Pure, like `state`."""

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Literal

from ibkr_tools.simulator.clock import Clock
from ibkr_tools.simulator.options import User
from ibkr_tools.simulator.second_factor_authentication import SecondFactorAuthenticator

__all__ = ["LoginRecord", "Outcome", "PasswordAuthenticator", "password_proof"]

Outcome = Literal["accepted", "refused", "locked", "wrong-mode", "race"]

MAX_FAILURES = 10
LOCK_S = 86_400.0


def password_proof(username: str, password: str, salt: str, challenge: str) -> str:
    """Return what the page sends instead of a password: SHA-256 over challenge and salted verifier, in hex."""
    inner = hashlib.sha256(f"{username.lower()}:{password}".encode()).hexdigest()
    verifier = hashlib.sha256(f"{salt}{inner}".encode()).hexdigest()
    return hashlib.sha256(f"{challenge}{verifier}".encode()).hexdigest()


@dataclass(slots=True)
class LoginRecord:
    """What happened to one user name; times are simulated seconds since the epoch."""

    submitted: int = 0
    failures: int = 0
    logins: int = 0
    races: int = 0
    wrong_mode: int = 0
    failed_at: list[float] = field(default_factory=list)


@dataclass(slots=True)
class _Exchange:
    username: str
    salt: str
    challenge: str
    paper: bool
    proven: bool = False
    second_factor_done: bool = False


class PasswordAuthenticator:
    """Counts every submitted password and locks a user after ten failures in a row within 24 hours."""

    def __init__(self, users: dict[str, User], clock: Clock) -> None:
        """Know `users` by their lower-case names."""
        self._users = users
        self._clock = clock
        self._exchanges: dict[str, _Exchange] = {}
        self.records: dict[str, LoginRecord] = {name: LoginRecord() for name in users}
        self.factors = SecondFactorAuthenticator()
        self.misplaced = 0

    def is_locked(self, username: str) -> bool:
        """Whether ten failures in a row fell within the last 24 hours; every further try prolongs it."""
        record = self.records.get(username.lower())
        return record is not None and self._recent_failures(record) >= MAX_FAILURES

    def begin(self, nonce: str, username: str, *, paper: bool) -> tuple[str, str]:
        """Start an exchange; return salt and challenge (hex)."""
        exchange = _Exchange(username.lower(), secrets.token_hex(8), secrets.token_hex(16), paper)
        self._exchanges[nonce] = exchange
        return exchange.salt, exchange.challenge

    def complete(self, nonce: str, username: str, proof: str) -> Outcome:
        """Judge the proof of an exchange. A proof without an exchange is a race.

        Source: docs/reference/login-page.md#submit-too-early.
        """
        exchange = self._exchanges.get(nonce)
        name = exchange.username if exchange is not None else username.lower()
        record = self.records.setdefault(name, LoginRecord())
        record.submitted += 1
        if exchange is None or not proof:
            record.races += 1
            self._fail(record)
            return "race"
        user = self._users.get(name)
        locked = self.is_locked(name)
        expected = "" if user is None else password_proof(name, user.password, exchange.salt, exchange.challenge)
        if user is None or locked or not secrets.compare_digest(proof, expected):
            self._fail(record)
            return "locked" if self.is_locked(name) else "refused"
        if user.paper != exchange.paper:
            record.wrong_mode += 1
            return "wrong-mode"
        exchange.proven = True
        record.failed_at.clear()
        return "accepted"

    def is_proven(self, nonce: str) -> bool:
        """Whether the password of this exchange was right."""
        exchange = self._exchanges.get(nonce)
        return exchange is not None and exchange.proven

    def note_typed(self, text: str) -> None:
        """Count a password that was typed into a field which is not for one."""
        self.misplaced += any(secrets.compare_digest(text, user.password) for user in self._users.values())

    def pass_second_factor(self, nonce: str) -> None:
        """Note that the second factor was given."""
        self._exchanges[nonce].second_factor_done = True

    def redeem(self, nonce: str, *, second_factor: bool) -> User | None:
        """Use up a proven exchange; return its user, or None if it is not complete."""
        exchange = self._exchanges.get(nonce)
        if exchange is None or not exchange.proven or (second_factor and not exchange.second_factor_done):
            return None
        del self._exchanges[nonce]
        self.records[exchange.username].logins += 1
        return self._users[exchange.username]

    def forgive(self) -> None:
        """Forget all failures, as a telephone call to IBKR would."""
        for record in self.records.values():
            record.failed_at.clear()

    def _fail(self, record: LoginRecord) -> None:
        record.failures += 1
        record.failed_at.append(self._clock.now())

    def _recent_failures(self, record: LoginRecord) -> int:
        since = self._clock.now() - LOCK_S
        return sum(1 for moment in record.failed_at if moment > since)
