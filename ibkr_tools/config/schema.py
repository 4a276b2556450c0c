"""The configuration: one JSON file, decoded strictly, every problem named at once."""

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ibkr_tools import account_ids
from ibkr_tools.config.values import (
    ARGUMENT_PATTERN,
    DATABASE_PATTERN,
    IBKR_FLEX_HOSTS,
    PATH_PATTERN,
    QUERY_PATTERN,
    RESTRICTED_PORTS,
    TEXTFILE_PATTERN,
    UPSTREAM_PATTERN,
    USERNAME_PATTERN,
)
from ibkr_tools.page_elements import PageElement
from ibkr_tools.portal.endpoints import SNAPSHOT_RESOURCES

Port = Annotated[int, Meta(ge=1, le=65535, extra_json_schema={"not": {"enum": sorted(RESTRICTED_PORTS)}})]
AccountId = Annotated[str, Meta(pattern=account_ids.NUMBER_PATTERN)]
AccountName = Annotated[str, Meta(pattern=account_ids.NAME_PATTERN, description="An account number, or its alias.")]
QueryNumber = Annotated[str, Meta(pattern=QUERY_PATTERN)]
NonEmptyStr = Annotated[str, Meta(pattern=ARGUMENT_PATTERN)]
DatabaseUrl = Annotated[str, Meta(pattern=DATABASE_PATTERN)]
FilePath = Annotated[str, Meta(pattern=PATH_PATTERN)]
TextfilePath = Annotated[str, Meta(pattern=TEXTFILE_PATTERN)]
if TYPE_CHECKING:
    Element = str
    Resource = str
else:
    Element = Literal[tuple(element.value for element in PageElement)]
    """The elements of IBKR's login page whose selectors a user can override."""

    Resource = Literal[SNAPSHOT_RESOURCES]

DEFAULT_RESOURCES: tuple[Resource, ...] = ("accounts", "summary", "ledger", "allocation", "positions")
"""What is fetched when nothing is named."""


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class GatewayConfig(_Section, frozen=True):
    """IBKR's Client Portal gateway: a Java program on this machine."""

    directory: Annotated[
        FilePath | None,
        Meta(description="Where IBKR's distribution is unpacked; null: in the state directory."),
    ] = None
    port: Annotated[Port, Meta(description="The port on 127.0.0.1; none that Chromium refuses.")] = 5000
    upstream: Annotated[
        str, Meta(pattern=UPSTREAM_PATTERN, description="IBKR's host: scheme, name, port if it is not the scheme's.")
    ] = "https://api.ibkr.com"
    java: Annotated[NonEmptyStr, Meta(description="The Java program: a name on PATH or a path.")] = "java"
    heap_mb: Annotated[int, Meta(ge=32, le=4096, description="Largest Java heap, in MB.")] = 64


class SessionConfig(_Section, frozen=True):
    """What kind of session is kept alive."""

    tier: Annotated[
        Literal["portfolio", "brokerage"],
        Meta(description="portfolio: /portfolio and /pa, all a read-only user can have; brokerage: /iserver too."),
    ] = "portfolio"
    paper: Annotated[bool, Meta(description="Log in to the paper trading account.")] = False
    competing: Annotated[
        Literal["yield", "take"],
        Meta(description="When another program takes the brokerage session: yield it, or take it back."),
    ] = "yield"
    competing_quiet_min: Annotated[
        int, Meta(ge=1, le=1440, description="How long to stay away after yielding, in minutes.")
    ] = 30
    region: Annotated[
        Literal["america", "europe", "asia"],
        Meta(description="Whose daily reset and maintenance windows apply."),
    ] = "america"


class SecondFactorConfig(_Section, frozen=True):
    """What answers when IBKR asks for a second factor."""

    method: Annotated[
        Literal["none", "totp", "push", "command"],
        Meta(description="none: a person; totp: an authenticator app's code; push: IB Key; command: a program."),
    ] = "none"
    totp_file: Annotated[
        FilePath | None,
        Meta(description="A file with nothing but the authenticator app's secret, readable by its owner only."),
    ] = None
    command: Annotated[
        tuple[NonEmptyStr, ...],
        Meta(description="Program and arguments of one that prints the code; no shell."),
    ] = ()
    command_timeout_s: Annotated[int, Meta(ge=1, le=600, description="How long the command may take, in seconds.")] = 60
    push_wait_s: Annotated[
        int, Meta(ge=30, le=600, description="How long to wait for the approval on the phone, in seconds.")
    ] = 180


class LoginConfig(_Section, frozen=True):
    """The browser that logs in."""

    browser: Annotated[NonEmptyStr | None, Meta(description="Chromium's program; null: found by itself.")] = None
    driver: Annotated[NonEmptyStr | None, Meta(description="chromedriver; null: found by itself.")] = None
    password_file: Annotated[
        FilePath | None, Meta(description="A file with nothing but the password, readable by its owner only.")
    ] = None
    timeout_s: Annotated[
        int,
        Meta(ge=10, le=600, description="The longest one login may take, in seconds; second factors come on top."),
    ] = 90
    logins_a_day: Annotated[
        int,
        Meta(ge=1, le=100_000, description="After this many successful logins in 24 h: one an hour, no more."),
    ] = 24
    second_factor: SecondFactorConfig = SecondFactorConfig()
    selectors: Annotated[
        dict[Element, tuple[NonEmptyStr, ...]],
        Meta(description="CSS selectors to try before the built-in ones, should IBKR change its page."),
    ] = {}


class FetchConfig(_Section, frozen=True):
    """What `ibkr-tools fetch` takes when nothing is named."""

    resources: Annotated[
        tuple[Resource, ...],
        Meta(min_length=1, description="Parts of the snapshot: reads that need no parameter."),
    ] = DEFAULT_RESOURCES
    accounts: Annotated[
        tuple[AccountName, ...],
        Meta(description="Accounts of the snapshot, by number or alias; empty: every one that the user may view."),
    ] = ()
    partial: Annotated[
        bool,
        Meta(description="Save the other accounts where one alone answers nothing, as one that was closed does."),
    ] = False
    keep_days: Annotated[
        int,
        Meta(ge=0, le=36_500, description="How many days dated copies of saved snapshots are kept; 0: none are made."),
    ] = 30


class HistoryConfig(_Section, frozen=True):
    """Where the account's history is."""

    database: Annotated[
        DatabaseUrl | None,
        Meta(description="URL of a PostgreSQL database, without a password; null: a file in the state directory."),
    ] = None
    password_file: Annotated[
        FilePath | None,
        Meta(description="A file with nothing but the database's password, readable by its owner only."),
    ] = None


class AlertsConfig(_Section, frozen=True):
    """How a person is told that something needs them."""

    command: Annotated[
        tuple[NonEmptyStr, ...],
        Meta(description="Program and arguments; gets one message as JSON on its standard input; no shell."),
    ] = ()
    timeout_s: Annotated[int, Meta(ge=1, le=300, description="How long the command may take, in seconds.")] = 30
    outage_min: Annotated[
        int, Meta(ge=1, le=10_080, description="After how many minutes without a session to say so.")
    ] = 60


class FlexConfig(_Section, frozen=True):
    """IBKR's Flex Web Service, which gives statements of past days."""

    query: Annotated[
        QueryNumber | None,
        Meta(description="The number of the Activity Flex Query; null: nothing is fetched."),
    ] = None
    token_expires: Annotated[
        date | None,
        Meta(
            description="The last day of the token, as chosen when it was made; null: nobody warns of its end.",
            # Few editors look at a format.
            extra_json_schema={"pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
        ),
    ] = None
    upstream: Annotated[
        str, Meta(pattern=UPSTREAM_PATTERN, description="IBKR's host: scheme, name, port if it is not the scheme's.")
    ] = f"https://{IBKR_FLEX_HOSTS[0]}"


class MetricsConfig(_Section, frozen=True):
    """Numbers for Prometheus, as a file for the textfile collector of node_exporter."""

    textfile: Annotated[
        TextfilePath | None,
        Meta(description="The file, whose name ends in .prom; null: none is written."),
    ] = None
    figures: Annotated[
        Literal["none", "totals", "positions"],
        Meta(description="What of the account is in it: nothing, what it is worth, or every position too."),
    ] = "none"
    account_names: Annotated[
        dict[AccountId, NonEmptyStr],
        Meta(description="What accounts are called there; others get eight digits that do not show their number."),
    ] = {}


class Config(_Section, frozen=True):
    """Everything in `config.json` but the secrets: the password, and the token of the Flex Web Service."""

    username: Annotated[
        str,
        Meta(
            pattern=USERNAME_PATTERN,
            min_length=1,
            max_length=64,
            description="The IBKR user: the second, read-only one.",
        ),
    ]
    account: Annotated[AccountId, Meta(description="The account number, such as U1234567.")]
    gateway: GatewayConfig = GatewayConfig()
    session: SessionConfig = SessionConfig()
    login: LoginConfig = LoginConfig()
    fetch: FetchConfig = FetchConfig()
    flex: FlexConfig = FlexConfig()
    history: HistoryConfig = HistoryConfig()
    alerts: AlertsConfig = AlertsConfig()
    metrics: MetricsConfig = MetricsConfig()


def json_schema() -> dict[str, Any]:
    """Returns the JSON Schema of `config.json`, for editors; the secrets are more keys of it."""
    definition: dict[str, Any] = msgspec.json.schema(Config)
    definition["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    definition["title"] = "config.json of ibkr-tools"
    definition["$defs"]["Config"]["properties"]["password"] = {
        "type": "string",
        "description": "The password; bin/install moves it to a file that only root can read.",
    }
    definition["$defs"]["FlexConfig"]["properties"]["token"] = {
        "type": "string",
        "description": "The token; bin/install moves it to a file that only root can read.",
    }
    definition["$defs"]["Config"]["properties"]["$schema"] = {"type": "string"}
    return definition
