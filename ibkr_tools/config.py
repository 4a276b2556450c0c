"""The configuration: one JSON file, decoded strictly, every problem named at once; and where secrets come from."""

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from ibkr_tools import example, files
from ibkr_tools.config_problems import find_problems, with_place
from ibkr_tools.errors import ConfigError

CREDENTIAL = "ibkr-password"
"""Name of the systemd credential that carries the password."""

TOTP_CREDENTIAL = "ibkr-totp"
"""Name of the systemd credential that carries the authenticator app's secret."""

ACCOUNT_ID = r"^[A-Z]{1,2}[0-9]{4,12}$(?!\n)"
"""Python's `$` also matches before a last line end, editors' does not: the look-ahead makes both strict."""

UPSTREAM = r"^https?://[A-Za-z0-9.\-]+(:[0-9]+)?$(?!\n)"
WORD = r"^[^\x00]+$"
"""What the kernel takes as an argument."""

FILE = r"^(?!~[^/])[^\x00]+$"
"""What the kernel takes as a path, or that below the home directory with `~`. Another user's home is not looked up."""

Described = msgspec.Meta
Port = Annotated[int, Described(ge=1, le=65535)]
AccountId = Annotated[str, Described(pattern=ACCOUNT_ID, description="A letter or two and digits: U1234567.")]
Word = Annotated[str, Described(pattern=WORD)]
FilePath = Annotated[str, Described(pattern=FILE)]
Element = Literal[
    "username", "password", "submit", "continue", "loading", "finished", "error", "bulletin", "consent", "promo",
    "restricted", "tasks", "paper-switch", "paper-checkbox", "method-picker", "code", "code-submit", "push",
]  # fmt: skip
"""The things on IBKR's login page whose selectors a user can override."""

Resource = Literal[
    "user", "accounts", "subaccounts", "subaccounts2", "meta", "summary", "ledger", "allocation",
    "consolidated_allocation", "positions", "positions2", "combos", "signatures_and_owners", "entity_info",
    "performance", "periods", "pa_summary", "brokerage_accounts", "account_summary", "available_funds",
    "balances", "margins", "market_value", "pnl", "trades", "orders", "scanner_params", "forecast_categories",
    "calendar_metadata", "watchlists", "alerts", "mta", "unread", "fyi_settings", "delivery_options",
    "notifications", "allocation_accounts", "allocation_groups", "allocation_presets", "model_presets", "models",
    "ccp_status", "ccp_account", "ccp_accounts", "ccp_positions", "ccp_orders", "ccp_trades",
]  # fmt: skip
"""The reads of the table of endpoints that need no parameter."""

SNAPSHOT: tuple[Resource, ...] = ("accounts", "summary", "ledger", "allocation", "positions")
"""What is fetched when nothing is named."""


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class GatewayConfig(_Section, frozen=True):
    """IBKR's Client Portal gateway: a Java program on this machine."""

    directory: Annotated[
        FilePath | None,
        Described(description="Where IBKR's distribution is unpacked; null: in the state directory."),
    ] = None
    port: Annotated[Port, Described(description="The port on 127.0.0.1.")] = 5000
    upstream: Annotated[
        str, Described(pattern=UPSTREAM, description="IBKR's host: scheme, name, port if it is not the scheme's.")
    ] = "https://api.ibkr.com"
    java: Annotated[Word, Described(description="The Java program: a name on PATH or a path.")] = "java"
    heap_mb: Annotated[int, Described(ge=32, le=4096, description="Largest Java heap, in MB.")] = 64


class SessionConfig(_Section, frozen=True):
    """What kind of session is kept alive."""

    tier: Annotated[
        Literal["portfolio", "brokerage"],
        Described(description="portfolio: /portfolio and /pa, all a read-only user can have; brokerage: /iserver too."),
    ] = "portfolio"
    paper: Annotated[bool, Described(description="Log in to the paper trading account.")] = False
    competing: Annotated[
        Literal["yield", "take"],
        Described(description="When another program takes the brokerage session: yield it, or take it back."),
    ] = "yield"
    competing_quiet_min: Annotated[
        int, Described(ge=1, le=1440, description="How long to stay away after yielding, in minutes.")
    ] = 30
    region: Annotated[
        Literal["america", "europe", "asia"],
        Described(description="Whose daily reset and maintenance windows apply."),
    ] = "america"


class SecondFactorConfig(_Section, frozen=True):
    """What answers when IBKR asks for a second factor."""

    method: Annotated[
        Literal["none", "totp", "push", "command"],
        Described(description="none: a person; totp: an authenticator app's code; push: IB Key; command: a program."),
    ] = "none"
    totp_file: Annotated[
        FilePath | None,
        Described(description="A file with nothing but the authenticator app's secret, readable by its owner only."),
    ] = None
    command: Annotated[
        tuple[Word, ...],
        Described(description="Program and arguments of one that prints the code; no shell."),
    ] = ()
    command_timeout_s: Annotated[
        int, Described(ge=1, le=600, description="How long the command may take, in seconds.")
    ] = 60
    push_wait_s: Annotated[
        int, Described(ge=30, le=600, description="How long to wait for the approval on the phone, in seconds.")
    ] = 180


class LoginConfig(_Section, frozen=True):
    """The browser that logs in."""

    browser: Annotated[Word | None, Described(description="Chromium's program; null: found by itself.")] = None
    driver: Annotated[Word | None, Described(description="chromedriver; null: found by itself.")] = None
    password_file: Annotated[
        FilePath | None, Described(description="A file with nothing but the password, readable by its owner only.")
    ] = None
    timeout_s: Annotated[
        int,
        Described(ge=10, le=600, description="The longest one login may take, in seconds; second factors come on top."),
    ] = 90
    logins_a_day: Annotated[
        int,
        Described(ge=1, le=100_000, description="After this many successful logins in 24 h: one an hour, no more."),
    ] = 24
    second_factor: SecondFactorConfig = SecondFactorConfig()
    selectors: Annotated[
        dict[Element, tuple[Word, ...]],
        Described(description="CSS selectors to try before the built-in ones, should IBKR change its page."),
    ] = {}


class FetchConfig(_Section, frozen=True):
    """What `ibkr-tools fetch` takes when nothing is named."""

    resources: Annotated[
        tuple[Resource, ...],
        Described(min_length=1, description="Parts of the snapshot: reads that need no parameter."),
    ] = SNAPSHOT
    accounts: Annotated[
        tuple[AccountId, ...],
        Described(description="Accounts of the snapshot; empty: every account that the user may view."),
    ] = ()
    partial: Annotated[
        bool,
        Described(description="Save the other accounts where one alone answers nothing, as one that was closed does."),
    ] = False
    keep_days: Annotated[
        int,
        Described(
            ge=0, le=36_500, description="How many days dated copies of saved snapshots are kept; 0: none are made."
        ),
    ] = 30


class NotifyConfig(_Section, frozen=True):
    """How a person is told that something needs them."""

    command: Annotated[
        tuple[Word, ...],
        Described(description="Program and arguments; gets one message as JSON on its standard input; no shell."),
    ] = ()
    timeout_s: Annotated[int, Described(ge=1, le=300, description="How long the command may take, in seconds.")] = 30
    outage_min: Annotated[
        int, Described(ge=1, le=10_080, description="After how many minutes without a session to say so.")
    ] = 60


class Config(_Section, frozen=True):
    """Everything in `config.json` but the password, which only the login reads."""

    username: Annotated[
        str, Described(min_length=1, max_length=64, description="The IBKR user: the second, read-only one.")
    ]
    account: Annotated[AccountId, Described(description="The account number, such as U1234567.")]
    gateway: GatewayConfig = GatewayConfig()
    session: SessionConfig = SessionConfig()
    login: LoginConfig = LoginConfig()
    fetch: FetchConfig = FetchConfig()
    notify: NotifyConfig = NotifyConfig()


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


def schema() -> dict[str, Any]:
    """Returns the JSON Schema of `config.json`, for editors; the password is one more key of it."""
    definition: dict[str, Any] = msgspec.json.schema(Config)
    definition["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    definition["title"] = "config.json of ibkr-tools"
    definition["$defs"]["Config"]["properties"]["password"] = {
        "type": "string",
        "description": "The password; bin/install moves it to a file that only root can read.",
    }
    definition["$defs"]["Config"]["properties"]["$schema"] = {"type": "string"}
    return definition


_MEANT = {
    ACCOUNT_ID: "a letter or two and digits, such as U1234567",
    UPSTREAM: "scheme, host and port, such as https://api.ibkr.com",
    WORD: "a text with something in it, and without a NUL character",
    FILE: "a path such as /etc/ibkr-tools/password; ~/ is the home directory, ~NAME is nobody's",
}


def problems(value: object, source: str = "") -> Iterator[str]:
    """Yields one line per problem of a decoded `config.json`; `source` is its text, to name lines."""
    return find_problems(value, Config, texts=("password", "$schema"), meant=_MEANT, source=source)


def _read(file: Path) -> tuple[dict[str, Any], bytes]:
    try:
        data = files.read_named(file)
        others_can_read = bool(file.stat().st_mode & stat.S_IROTH)
    except FileNotFoundError as error:
        raise ConfigError(
            f"{file}: not there", hint="Copy config.example.json there and fill in username and account."
        ) from error
    except PermissionError as error:
        raise ConfigError(
            f"{file}: not readable by this user",
            hint="Run as root, or join the group that owns the file: usermod -aG ibkr NAME.",
        ) from error
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    try:
        raw = msgspec.json.decode(data)
    except UnicodeDecodeError as error:
        # Its own words show a byte of what may be a password.
        raise ConfigError(f"{file}: not JSON: {with_place(data, f'not UTF-8 (byte {error.start})')}") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(f"{file}: not JSON: {with_place(data, str(error))}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{file}: expected an object, such as config.example.json")
    if others_can_read and raw.get("password"):
        raise ConfigError(
            f"{file}: holds the password and every user of this machine can read it",
            hint=f"chmod o= {file}",
        )
    return raw, data


def load_config(file: Path, *, takes_example: bool = False) -> Config:
    """Reads and checks the configuration; `takes_example`: for what asks neither IBKR nor its gateway anything.

    Raises:
        ConfigError: not there, not readable, not JSON, world-readable with a password in it, still the example, or
            with wrong keys or values; then the message names every one of them.
    """
    raw, data = _read(file)
    left_over = [] if takes_example else example.left_over(raw)
    if found := [*problems(raw, data.decode(errors="replace")), *left_over]:
        noun = "problem" if len(found) == 1 else "problems"
        raise ConfigError(
            f"{file}: {len(found)} {noun}:\n" + "\n".join(f"  {line}" for line in found),
            hint="`ibkr-tools config schema` prints what is allowed.",
        )
    raw.pop("password", None)
    raw.pop("$schema", None)
    return msgspec.convert(raw, Config, strict=True)


def _only_newline_stripped(text: str) -> str:
    return text.removesuffix("\r\n") if text.endswith("\r\n") else text.removesuffix("\n")


def _read_secret(
    what: str, credential: str, key: str, own: str | None, kept: Path, environ: Mapping[str, str] | None
) -> Secret | None:
    """Returns what the systemd credential holds, else the file `own`, else `kept`; None if none has anything in it.

    `key` is where `own` stands: errors name that, for people put the secret itself there. `kept` is what systemd makes
    the credential of: only root reads it, when a person logs in by hand.
    """
    env = os.environ if environ is None else environ
    private = [*([Path(own).expanduser()] if own else []), kept]
    directory = env.get("CREDENTIALS_DIRECTORY")
    for source in [Path(directory) / credential, *private] if directory else private:
        name = f"the file of {key}" if own and source == private[0] else str(source)
        try:
            text = files.regular(source).read_bytes().decode()
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            if source == kept and isinstance(error, PermissionError):
                continue
            why = error.strerror if isinstance(error, OSError) else "not a text in UTF-8"
            raise ConfigError(f"{name}: {what} cannot be read: {why}") from None
        if source in private and source.stat().st_mode & (stat.S_IRWXO | stat.S_IRWXG):
            raise ConfigError(f"{source}: others can read {what}", hint=f"chmod 600 {source}")
        if found := _only_newline_stripped(text):
            return _not_the_example(name, found)
    return None


def _not_the_example(source: str, text: str) -> Secret:
    """Returns the secret; the example's text is none, wherever it was copied to."""
    if example.is_password(text):
        raise ConfigError(
            f"{source}: the password {example.PLACE}", hint="Put the real one there; nothing was submitted."
        )
    return Secret(text)


def read_password(file: Path, config: Config, environ: Mapping[str, str] | None = None) -> Secret:
    """Returns the password: from the systemd credential, the named file, the one beside `file`, or its key.

    The password is taken as it stands; only one line end after it is dropped.

    Raises:
        ConfigError: none of the four has one, or the file is readable by others.
    """
    kept = file.with_name("password")
    own = config.login.password_file
    if found := _read_secret("the password", CREDENTIAL, "login.password_file", own, kept, environ):
        return found
    in_config = _read(file)[0].get("password")
    if isinstance(in_config, str) and in_config:
        return _not_the_example(f'{file}: "password"', in_config)
    named = "; login.password_file names a file that is not there" if config.login.password_file else ""
    raise ConfigError(
        f'no password: no credential, no login.password_file, no "password" in the configuration{named}',
        hint=f'Put "password" in {file}; `sudo ./bin/install` moves it to a file only root can read.',
    )


def read_totp_secret(file: Path, config: Config, environ: Mapping[str, str] | None = None) -> Secret:
    """Returns the authenticator app's secret: from where a password can be (`totp` beside `file`), but for a key.

    Raises:
        ConfigError: none of the three has one, or the file is readable by others.
    """
    kept, own = file.with_name("totp"), config.login.second_factor.totp_file
    key = "login.second_factor.totp_file"
    if found := _read_secret("the authenticator's secret", TOTP_CREDENTIAL, key, own, kept, environ):
        return found
    raise ConfigError(
        f"no authenticator's secret: no credential, no login.second_factor.totp_file, nothing to read in {kept}",
        hint="See docs/second-factor.md.",
    )


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
        found = self._read[name]
        if isinstance(found, ConfigError):
            raise found
        return found
