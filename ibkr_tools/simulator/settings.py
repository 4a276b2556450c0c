"""What can be switched while the simulator runs: the page, the behaviour of the servers, the pacing limits."""

from typing import Annotated, Any, Literal, TypeVar

import msgspec

__all__ = [
    "BaseCurrency",
    "BehaviourSettings",
    "Drop",
    "LimitSettings",
    "Oddity",
    "PageSettings",
    "Push",
    "RandomFaults",
    "Tier",
    "changed",
]

S = TypeVar("S", bound=msgspec.Struct)
Milliseconds = Annotated[int, msgspec.Meta(ge=0)]
Tier = Literal["all", "brokerage"]
Push = Literal["sts", "close", "silent"]
Oddity = Literal[
    "classes", "forex", "money-fund", "sweep", "no-price", "no-rate", "marks", "texts", "models", "entities"
]
BaseCurrency = Literal["EUR", "USD", "GBP", "CHF", "JPY"]
FaultByChance = Literal[503, "drop", "html", "error", "half", "empty"]
AboutAccount = Literal["summary", "ledger", "allocation", "positions"]
SecondFactor = Literal[
    "silver", "gold", "bronze", "temp", "notification", "multiplesf", "otpselector", "fido", "qrcode"
]


class Drop(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A loss of sessions: which tier, and what the WebSocket tells about it."""

    tier: Tier = "all"
    push: Push = "sts"
    user: str | None = None


class PageSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How the login page looks and behaves: the situations of docs/reference/login-page.md#situations.

    `script_delay_ms` is the time between the button being there and its handler being ready
    (docs/reference/login-page.md#submit-too-early).
    `rename` replaces texts in page and script, `hide` lists CSS selectors that are made invisible.
    `error_text` replaces the text shown after a refusal, `notice` stands above the form before it is used. `echo`: what
    was refused is repeated, in the error and the title, or in an `alert` before that.
    `maintenance` is a bulletin in the `.gstat` block. `document` is HTML that is shown instead of the page. `instead`
    answers without the page: a refusal of IBKR's edge, 429 with Retry-After, or a page about maintenance. `unstyled`:
    nothing hides the blocks. `two_steps`: the password is asked for after the user name. `spinner`: the page is busy
    for ever, `before` the form is ready or `after` the password. `resets`: the form empties itself after the password,
    without a word. `init_again_ms`: the script talks to the servers once more, so long after it was ready. `promo`
    comes after the password, `promo_before` before.
    `consent_returns`: the layer is mounted anew again and again. `paper_shape`: the switch as a wrapper with spans, as
    a label, or both; `paper_remounts`: the fields are replaced by new ones after the switch. `restricted` and `tasks`
    come instead of a session, or with one as an answer of the `dispatcher`; `302-nothing` brings no session.
    `silent`: the script says nothing to the servers before the form is submitted. `hangs`: a decoration never comes.
    `redirect`: the address of another page that the servers send the browser to.
    `redesign` is the seed of another page with the same roles and steps (`redesign.Redesign`); of the other settings,
    it has the delays, `error_text`, `picker_options`, `silent`, `decorated`, `document_after`, and those of the second
    factor.
    `document_after` is HTML that comes instead of a session after the password. `decorated`: the page has images,
    fonts, scripts and frames below `/portal.proxy/` that it could do without.

    `second_factor` is the block shown after the password; the code is `second_factor_code`, or the one of an
    authenticator app with `second_factor_secret` (base32), and the first `second_factor_refusals` codes are refused
    with `second_factor_error` whatever they are. `picker` is how the choice of methods looks, `picker_options` what
    it offers (IBKR's number and label). A push is approved at once, after a time, or never; the page may
    show a challenge instead after a time. `after_approval`: where the page then says, for ever, that it communicates
    with the server, or that it could not (`error`), instead of finishing the login.
    """

    script_delay_ms: Milliseconds = 150
    form_delay_ms: Milliseconds = 0
    init_delay_ms: Milliseconds = 20
    auth_delay_ms: Milliseconds = 50
    verdict_delay_ms: Milliseconds = 0
    hide: tuple[str, ...] = ()
    rename: dict[str, str] = {}
    consent: bool = False
    consent_returns: bool = False
    promo: bool = False
    promo_before: bool = False
    document: str = ""
    document_after: str = ""
    decorated: bool = False
    instead: Literal["", "edge", "429", "maintenance"] = ""
    unstyled: bool = False
    two_steps: bool = False
    spinner: Literal["", "before", "after"] = ""
    resets: bool = False
    init_again_ms: Milliseconds | None = None
    notice: str = ""
    error_text: str = ""
    echo: Literal["", "error", "alert"] = ""
    maintenance: str = ""
    restricted: bool = False
    tasks: bool = False
    blank: bool = False
    silent: bool = False
    hangs: Literal["", "image", "script", "frame"] = ""
    redirect: str = ""
    redesign: int | None = None
    duplicate_submit: bool = False
    paper_clears_fields: bool = False
    paper_remounts: bool = False
    paper_shape: Literal["both", "wrapper", "label"] = "both"
    paper_switch: bool = True
    dispatcher: Literal["302", "302-body", "302-loop", "302-nothing", "200-form", "200-restricted", "200-tasks"] = "302"
    second_factor: SecondFactor | None = None
    second_factor_code: str = "123456"
    second_factor_secret: Annotated[str, msgspec.Meta(pattern="^[A-Z2-7]*$")] = ""
    second_factor_refusals: Annotated[int, msgspec.Meta(ge=0)] = 0
    second_factor_error: str = "Invalid security code"
    picker: Literal["select", "list"] = "select"
    picker_options: dict[str, str] = msgspec.field(
        default_factory=lambda: {"5.2a": "IB Key", "4": "Mobile Authenticator App"}
    )
    push_approved: bool = False
    push_approved_after_ms: Milliseconds | None = None
    push_flips_after_ms: Milliseconds | None = None
    after_approval: Literal["", "notification", "loading", "finished", "error"] = ""
    dispatcher_delay_ms: Milliseconds = 0


class RandomFaults(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Trouble by chance: how likely each answer is hit, by which kinds, and the seed of the dice.

    `503`: that status; `drop`: the connection is reset; `html`: a web page with status 200; `error`: 200 with
    `failed to process request`; `half`: half of the JSON as a whole answer; `empty`: no body.
    """

    rate: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    kinds: tuple[FaultByChance, ...] = (503, "drop", "html", "error", "half")
    seed: int = 1


class BehaviourSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How the servers behave where the facts leave several possibilities.

    `no_session`: what a call without a session gets. `split`: every answer leaves in two TCP segments (the jar's
    decoder breaks on that). `cold_positions`: the first positions call of a session answers `[]`.
    `require_preflight`: `/portfolio/{account}/*` before `/portfolio/accounts` answers 401.
    `read_only_socket`: what a read-only user's socket hears (doubt D11): `sts` with `authenticated:false` after the
    greeting, `system` frames alone, nothing, or `waiting for session` for ever. `loss_frame`: whether the `sts` of a
    lost session has `connected:false` beside `authenticated:false`, or not (`short`, as of older builds).
    `tickle`: which of its shapes (docs/reference/session.md#tickle) `/tickle` has. `competing`: whether statuses have
    that field.
    `connected`: what statuses without brokerage say of the link. `init`: how `ssodh/init` and the jar's handshake end.
    `refuse_brokerage`: a trading user has no right to it. `nightly_reset` (`HH:MM`, UTC) ends every session at that
    time of each simulated day, whatever the traffic. `clock_skew_s`: how far the servers' `Date` is ahead.
    `access_denied`: as the gateway, refuse everybody as the jar's address filter does.

    `subaccounts`: whether `/portfolio/subaccounts2` answers an object only with `page`, always, or never;
    `position_shape`: whether `/portfolio/positions/{conid}` is keyed by account or a list (doubt D8). `page_size`: how
    many positions a page has (30 in older builds); `older_records`: accounts lack what older builds lack.
    `cold_accounts`: a session's first `/portfolio/accounts` is an empty list, the first `/iserver/accounts` after the
    tier was opened an empty text. `require_brokerage_preflight`: whether "Please query /accounts first" comes, and
    `preflight_status` its status (doubt D10). `cold_brokerage`: the first orders, trades, quotes and P&L of a session
    are empty; `cold_history`: the first call of each history fails; `pnl_needs_spl`: P&L stays empty until a socket
    subscribed to it. `no_bridge`: what calls without the brokerage tier get. `unread_locked`: `/fyi/unreadnumber`
    answers 423 within five minutes (doubt D7). Real milliseconds: `latency_ms` for every call below `/v1`,
    `analyst_ms` more for `/pa`, `history_ms` more for histories.

    `oddities`: what accounts hold besides, see `oddities.ODDITIES`. `base_currencies`: those of the accounts in turn.
    `empty` are resources that say nothing: `summary`, `ledger`, `allocation`, `positions`, and `accounts`; for
    `empty_accounts` (none: all), in the first `empty_for` answers of a session (null: all). `empty_as`: `{}` or `[]`,
    `null`, a 204, zeros, nulls, or the outer shape alone. `failing_accounts`: accounts that answer this status to
    everything about them, 200: with `{"error":…}`. `foreign` are resources whose answers are about `foreign_account`.
    `page_gaps` are pages of positions that are empty. `accounts_listed`: how many accounts `/portfolio/accounts` lists,
    in the first `accounts_listed_for` answers of a session (null: all). `tiered_accounts`: an advisor's list has the
    master account alone. `aliases` are names of accounts. `short_answers`: how often each contract has its short form
    in a session, every other one once more; null: in the first answer about an account. `faults` is trouble by chance.
    """

    no_session: Literal["401", "error", "302"] = "401"
    split: bool = False
    split_pause_ms: Milliseconds = 40
    cold_positions: bool = False
    require_preflight: bool = True
    always_short_form: bool = False
    read_only_socket: Literal["sts", "system", "silent", "waiting"] = "sts"
    loss_frame: Literal["whole", "short"] = "whole"
    tickle: Literal["new", "older", "no-iserver", "iserver-error", "no-auth-status"] = "new"
    competing: bool = True
    connected: bool = True
    init: Literal["works", "wait", "no-token", "status"] = "works"
    nightly_reset: Annotated[str, msgspec.Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] | None = None
    clock_skew_s: float = 0.0
    access_denied: bool = False
    refuse_brokerage: bool = False
    subaccounts: Literal["by-page", "object", "array"] = "by-page"
    position_shape: Literal["object", "list"] = "object"
    preflight_status: Literal[400, 500] = 500
    require_brokerage_preflight: bool = True
    cold_brokerage: bool = True
    pnl_needs_spl: bool = False
    no_bridge: Literal["no-bridge", "init-first", "401", "500", "503"] = "no-bridge"
    unread_locked: bool = False
    latency_ms: Milliseconds = 0
    analyst_ms: Milliseconds = 0
    history_ms: Milliseconds = 0
    cold_history: bool = False
    cold_accounts: bool = False
    page_size: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    older_records: bool = False
    oddities: tuple[Oddity, ...] = ()
    base_currencies: Annotated[tuple[BaseCurrency, ...], msgspec.Meta(min_length=1)] = ("EUR",)
    empty: tuple[AboutAccount | Literal["accounts"], ...] = ()
    empty_as: Literal["bare", "null", "no-content", "zeros", "nulls", "hollow"] = "bare"
    empty_accounts: tuple[str, ...] = ()
    empty_for: Annotated[int, msgspec.Meta(ge=1)] | None = None
    failing_accounts: dict[str, Annotated[int, msgspec.Meta(ge=200, le=699)]] = {}
    foreign: tuple[AboutAccount, ...] = ()
    foreign_account: str = "U9999999"
    page_gaps: tuple[int, ...] = ()
    accounts_listed: Annotated[int, msgspec.Meta(ge=0)] | None = None
    accounts_listed_for: Annotated[int, msgspec.Meta(ge=1)] | None = None
    tiered_accounts: bool = False
    aliases: dict[str, str] = {}
    short_answers: Annotated[int, msgspec.Meta(ge=0)] | None = None
    faults: RandomFaults = RandomFaults()


class LimitSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Pacing.

    Excess over `per_second` puts everybody into the penalty box; excess over one endpoint's own limit
    (docs/reference/pacing.md#limits) only refuses that call, unless `endpoint_penalty_s` is set.
    """

    enabled: bool = False
    per_second: Annotated[int, msgspec.Meta(ge=1)] = 10
    penalty_s: Annotated[float, msgspec.Meta(ge=0)] = 900.0
    endpoints: bool = True
    endpoint_penalty_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0


def changed(settings: S, changes: dict[str, Any]) -> S:
    """Return `settings` with `changes` (a JSON object) applied. Raises msgspec.ValidationError."""
    return msgspec.convert({**msgspec.to_builtins(settings), **changes}, type(settings))
