"""The configuration: one JSON file, decoded strictly, every problem named at once."""

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from ibkr_tools import account_ids, example, files
from ibkr_tools.config_problems import find_problems, with_place
from ibkr_tools.config_values import (
    FILE,
    RESTRICTED_PORTS,
    UPSTREAM,
    USERNAME,
    WORD,
    Meant,
    meant_nothing,
    meant_upstream,
    meant_username,
    refused_port,
)
from ibkr_tools.errors import ConfigError

Described = msgspec.Meta
Port = Annotated[int, Described(ge=1, le=65535, extra_json_schema={"not": {"enum": sorted(RESTRICTED_PORTS)}})]
AccountId = Annotated[str, Described(pattern=account_ids.NUMBER)]
AccountName = Annotated[str, Described(pattern=account_ids.NAME, description="An account number, or its alias.")]
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
    port: Annotated[Port, Described(description="The port on 127.0.0.1; none that Chromium refuses.")] = 5000
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
        tuple[AccountName, ...],
        Described(description="Accounts of the snapshot, by number or alias; empty: every one that the user may view."),
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
        str,
        Described(
            pattern=USERNAME, min_length=1, max_length=64, description="The IBKR user: the second, read-only one."
        ),
    ]
    account: Annotated[AccountId, Described(description="The account number, such as U1234567.")]
    gateway: GatewayConfig = GatewayConfig()
    session: SessionConfig = SessionConfig()
    login: LoginConfig = LoginConfig()
    fetch: FetchConfig = FetchConfig()
    notify: NotifyConfig = NotifyConfig()


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


def _meant(username: object) -> dict[str, Meant]:
    number = f"an account number: capital letters and digits, such as {account_ids.EXAMPLE}"
    name = username if isinstance(username, str) else ""
    return {
        account_ids.NUMBER: (number, lambda text: account_ids.slip(text, name)),
        account_ids.NAME: ("an account number or an alias", account_ids.slip_of_name),
        UPSTREAM: ("scheme, host and port, such as https://api.ibkr.com", meant_upstream),
        USERNAME: ("the name that you type on IBKR's page", meant_username),
        WORD: ("a text with something in it, and without a NUL character", meant_nothing),
        FILE: ("a path such as /etc/ibkr-tools/password; ~/ is the home directory, ~NAME is nobody's", meant_nothing),
    }


_REFUSED = {"gateway.port": refused_port}
"""By key: what says why a value that is of the right kind cannot work."""


def problems(value: object, source: str = "") -> Iterator[str]:
    """Yields one line per problem of a decoded `config.json`; `source` is its text, to name lines."""
    meant = _meant(value.get("username") if isinstance(value, dict) else None)
    texts = ("password", "$schema")
    return find_problems(value, Config, texts=texts, meant=meant, refused=_REFUSED, source=source)


def _own_upstream(raw: Mapping[str, Any]) -> Iterator[str]:
    """Yields one line if the gateway's servers are said to be the gateway itself."""
    gateway = msgspec.convert(raw.get("gateway", {}), GatewayConfig)
    for host in ("127.0.0.1", "localhost"):
        if gateway.upstream.partition("://")[2] == f"{host}:{gateway.port}":
            yield f"gateway.upstream: port {gateway.port} is gateway.port itself; IBKR's host belongs there"


def read_document(file: Path) -> tuple[dict[str, Any], bytes]:
    """Returns the configuration `file`, an object and not yet checked, and its text.

    Raises:
        ConfigError: not there, not readable, not JSON, no object, or world-readable with a password in it.
    """
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
    raw, data = read_document(file)
    left_over = dict(example.left_over(raw)) if not takes_example else {}
    found = [one for one in problems(raw, data.decode(errors="replace")) if one.partition(":")[0] not in left_over]
    if found := [*(found or _own_upstream(raw)), *(f"{key}: {said}" for key, said in left_over.items())]:
        noun = "problem" if len(found) == 1 else "problems"
        raise ConfigError(
            f"{file}: {len(found)} {noun}:\n" + "\n".join(f"  {line}" for line in found),
            hint="`ibkr-tools config schema` prints what is allowed.",
        )
    raw.pop("password", None)
    raw.pop("$schema", None)
    return msgspec.convert(raw, Config, strict=True)
