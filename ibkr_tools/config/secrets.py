"""Where the secrets of a configuration are: systemd's credentials, files of their own, the configuration's key."""

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ibkr_tools import files, secret_text
from ibkr_tools.config import example
from ibkr_tools.config.loader import TOKEN_KEY, read_document, token_in
from ibkr_tools.config.schema import Config
from ibkr_tools.errors import ConfigError

PASSWORD_CREDENTIAL = "ibkr-password"  # noqa: S105  # its name
"""Name of the systemd credential that carries the password."""

TOTP_CREDENTIAL = "ibkr-totp"
"""Name of the systemd credential that carries the authenticator app's secret."""

TOKEN_CREDENTIAL = "ibkr-flex-token"  # noqa: S105  # its name
"""Name of the systemd credential that carries the token of the Flex Web Service."""

DATABASE_CREDENTIAL = "ibkr-database"
"""Name of the systemd credential that carries the password of the history's database."""

_WRITE_ANEW = "Write it anew, as one line of text in UTF-8; nothing was submitted."


class Secret:
    """A value that does not show itself: not in a repr, a format, a log line or a traceback."""

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Returns the value; call it where it is typed into a field, and nowhere else."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('…')"

    __str__ = __repr__


@dataclass(frozen=True, kw_only=True)
class _SecretKind:
    """One of the secrets.

    `key` is where its own file stands in the configuration: errors name that, for people put the secret itself there.
    `file_name` is the name of the file beside the configuration that systemd makes the credential of: only root reads
    it, when a person logs in by hand. `blanks`: those in it do not matter.
    """

    what: str
    credential: str
    key: str
    file_name: str
    blanks: bool


_PASSWORD = _SecretKind(
    what="the password", credential=PASSWORD_CREDENTIAL, key="login.password_file", file_name="password", blanks=False
)
_TOTP = _SecretKind(
    what="the authenticator's secret",
    credential=TOTP_CREDENTIAL,
    key="login.second_factor.totp_file",
    file_name="totp",
    blanks=True,
)
_TOKEN = _SecretKind(what="the token", credential=TOKEN_CREDENTIAL, key=TOKEN_KEY, file_name="flex-token", blanks=True)

_TOKEN_TEXT = re.compile(r"[A-Za-z0-9]{6,128}", re.ASCII)
"""IBKR's have some 24 digits."""
_DATABASE = _SecretKind(
    what="the database's password",
    credential=DATABASE_CREDENTIAL,
    key="history.password_file",
    file_name="database-password",
    blanks=False,
)

SECRET_FILES = tuple(kind.file_name for kind in (_PASSWORD, _TOTP, _TOKEN, _DATABASE))
"""The names of the files beside the configuration that only root reads."""


@dataclass(frozen=True)
class _SecretFile:
    """A file that may hold a secret, and what errors call it."""

    path: Path
    name: str
    is_private: bool = True
    may_be_closed: bool = False


def _secret_files(
    kind: _SecretKind, file: Path, configured_file: str | None, environ: Mapping[str, str] | None
) -> Iterator[_SecretFile]:
    env = os.environ if environ is None else environ
    if directory := env.get("CREDENTIALS_DIRECTORY"):
        path = Path(directory) / kind.credential
        yield _SecretFile(path, str(path), is_private=False)
    if configured_file:
        yield _SecretFile(Path(configured_file).expanduser(), f"the file of {kind.key}")
    default_file = file.with_name(kind.file_name)
    yield _SecretFile(default_file, str(default_file), may_be_closed=True)


def _read_from(source: _SecretFile, kind: _SecretKind) -> str | None:
    """Returns what a file has; None if it is not there, empty, or for others to read.

    Raises:
        ConfigError: others can read it, it cannot be read, or it is not what a person typed.
    """
    try:
        text = secret_text.decode(files.require_regular(source.path).read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        if source.may_be_closed and isinstance(error, PermissionError):
            return None
        raise ConfigError(f"{source.name}: {kind.what} cannot be read: {error.strerror}") from None
    except secret_text.UntypableText as error:
        raise ConfigError(f"{source.name}: {kind.what} cannot be read: {error}", hint=_WRITE_ANEW) from None
    if source.is_private and source.path.stat().st_mode & (stat.S_IRWXO | stat.S_IRWXG):
        raise ConfigError(f"{source.path}: others can read {kind.what}", hint=f"chmod 600 {source.path}")
    return _checked(text, source.name, kind)


def _checked(text: str, name: str, kind: _SecretKind) -> str | None:
    """Returns a secret that can be submitted; None if it is empty.

    Raises:
        ConfigError: it is the example's, wherever that was copied to, or not what a person typed.
    """
    if kind.blanks:
        text = text.strip()
    if not text:
        return None
    if example.is_password(text):
        raise ConfigError(
            f"{name}: the password {example.STILL_THE_EXAMPLE}", hint="Put the real one there; nothing was submitted."
        )
    try:
        secret_text.require_typable(text, blanks=kind.blanks)
    except secret_text.UntypableText as error:
        raise ConfigError(f"{name}: {kind.what} is not what a person typed: {error}", hint=_WRITE_ANEW) from None
    if kind is _TOKEN and not _TOKEN_TEXT.fullmatch(text):
        raise ConfigError(f"{name}: this is no token: IBKR's have some 24 digits, and nothing else", hint=_WRITE_ANEW)
    return text


def _read_key(file: Path, kind: _SecretKind) -> str | None:
    """Returns the secret that stands in the configuration itself; see `_checked`."""
    raw = read_document(file)[0]
    value = raw.get("password") if kind is _PASSWORD else token_in(raw)
    return _checked(value, _key_name(file, kind), kind) if isinstance(value, str) else None


def _key_name(file: Path, kind: _SecretKind) -> str:
    return f'{file}: "password"' if kind is _PASSWORD else f"{file}: {kind.key}"


def _readers(
    kind: _SecretKind, file: Path, config: Config, environ: Mapping[str, str] | None
) -> Iterator[tuple[str, Callable[[], str | None]]]:
    """Yields whatever may have the secret, in the order in which it counts: its name, and what reads it."""
    configured_files = {
        _PASSWORD: config.login.password_file,
        _TOTP: config.login.second_factor.totp_file,
        _DATABASE: config.history.password_file,
    }
    for source in _secret_files(kind, file, configured_files.get(kind), environ):
        yield source.name, lambda source=source: _read_from(source, kind)  # type: ignore[misc]
    if kind in {_PASSWORD, _TOKEN}:
        yield _key_name(file, kind), lambda: _read_key(file, kind)


def _first(kind: _SecretKind, file: Path, config: Config, environ: Mapping[str, str] | None) -> Secret | None:
    texts = (read() for _, read in _readers(kind, file, config, environ))
    return next((Secret(text) for text in texts if text), None)


def read_password(file: Path, config: Config, environ: Mapping[str, str] | None = None) -> Secret:
    """Returns the password: from the systemd credential, the named file, the one beside `file`, or its key.

    The password is taken as it stands; only one line end after it is dropped.

    Raises:
        ConfigError: none of the four has one, others can read it, or it is not what a person typed.
    """
    if secret := _first(_PASSWORD, file, config, environ):
        return secret
    named = "; login.password_file names a file that is not there" if config.login.password_file else ""
    raise ConfigError(
        f'no password: no credential, no login.password_file, no "password" in the configuration{named}',
        hint=f'`sudo ibkr-tools password` asks for it; without an installation put "password" in {file}.',
    )


def read_totp_secret(file: Path, config: Config, environ: Mapping[str, str] | None = None) -> Secret:
    """Returns the authenticator app's secret: from where a password can be (`totp` beside `file`), but for a key.

    Raises:
        ConfigError: none of the three has one, others can read it, or it is not what a person typed.
    """
    if secret := _first(_TOTP, file, config, environ):
        return secret
    raise ConfigError(
        "no authenticator's secret: no credential, no login.second_factor.totp_file, "
        f"nothing to read in {file.with_name(_TOTP.file_name)}",
        hint="See docs/second-factor.md.",
    )


def read_token(file: Path, config: Config, environ: Mapping[str, str] | None = None) -> Secret:
    """Returns the token of the Flex Web Service: from the systemd credential, `flex-token` beside `file`, or its key.

    Raises:
        ConfigError: none of the three has one, others can read it, or it is no token.
    """
    if secret := _first(_TOKEN, file, config, environ):
        return secret
    raise ConfigError(
        f"no token: no credential, nothing to read in {file.with_name(_TOKEN.file_name)}, "
        f'no "token" in "flex" of the configuration',
        hint="docs/flex.md says how to make one. Run as root: only root can read the token.",
    )


def check_token(file: Path, config: Config) -> list[ConfigError]:
    """Returns what is wrong with whatever may hold a token and can be read here."""
    errors = []
    for _, read in _readers(_TOKEN, file, config, {}):
        try:
            read()
        except ConfigError as error:
            errors.append(error)
    return errors


def read_database_password(file: Path, config: Config, environ: Mapping[str, str] | None = None) -> Secret | None:
    """Returns the password of the history's database: from where a login's can be (`database-password` beside `file`).

    None: nobody has put one there, so that PostgreSQL's library looks into its own password file.

    Raises:
        ConfigError: others can read it, or it is not what a person typed.
    """
    return _first(_DATABASE, file, config, environ)


def check_passwords(file: Path, config: Config) -> tuple[list[ConfigError], list[str]]:
    """Returns what is wrong with whatever may hold a password and can be read here, and what is odd about it.

    Every place is looked at, not only the one that counts here: a login of systemd's begins with another one.
    """
    errors, warnings = list[ConfigError](), list[str]()
    for name, read in _readers(_PASSWORD, file, config, {}):
        try:
            text = read()
        except ConfigError as error:
            errors.append(error)
            continue
        if text and (warning := secret_text.blank_warning(text)):
            warnings.append(f"{name}: the password {warning}")
    return errors, warnings


class SecretSource:
    """The secrets of one configuration; root reads them before it becomes a user who may not."""

    def __init__(self, file: Path, config: Config) -> None:
        self._file = file
        self._config = config
        self._read: dict[str, Secret | ConfigError] = {}

    def read_now(self) -> None:
        """Reads whatever there is, for later; what is missing or wrong is said when it is asked for."""
        for find in (self.password, self.totp):
            with suppress(ConfigError):
                find()

    def password(self) -> Secret:
        """Returns the password; see `read_password`."""
        return self._found("password", read_password)

    def totp(self) -> Secret:
        """Returns the authenticator app's secret; see `read_totp_secret`."""
        return self._found("totp", read_totp_secret)

    def _found(self, name: str, read: Callable[[Path, Config], Secret]) -> Secret:
        if name not in self._read:
            try:
                self._read[name] = read(self._file, self._config)
            except ConfigError as error:
                self._read[name] = error
        result = self._read[name]
        if isinstance(result, ConfigError):
            raise result
        return result
