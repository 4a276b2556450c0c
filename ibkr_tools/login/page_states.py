"""The states of IBKR's login page: selectors, snapshots, and which state a snapshot shows. Pure.

The page is one document with every block in it, all but one or two hidden, so that an element being there proves
nothing; only visibility does. `page_scripts.INSPECT` takes the snapshots. Selectors are data, tried in order; the names
of blocks are IBKR's.
Source: observed and collected by the projects named in docs/login.md, May 2026 and earlier.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from ibkr_tools.config.schema import Element
from ibkr_tools.login.redaction import one_line, truncated, unredacted

LOGIN_PATH = "/sso/Login?forwardTo=22&RL=1&ip2loc=US"
"""Where the gateway sends a browser that opens `/`."""

AUTHENTICATOR = "/sso/Authenticator"
"""Where the page talks to IBKR about the login, step by step."""

SUCCESS_TEXT = "Client login succeeds"
"""Written by the gateway itself, when IBKR answered the last step with a redirect; no proof of a session."""

MAINTENANCE = re.compile(
    r"maintenance|temporarily unavailable|systems? (is |are )?(currently )?(unavailable|not available)|"
    r"try again later",
    re.IGNORECASE,
)
"""What IBKR's pages say while its servers are down on purpose."""

USERNAME = (
    "#xyz-field-username",
    "input[name=username]",
    ".xyz-username",
    ".loginformWrapper input[type=text]",
    "input[name=user_name]",
)
PASSWORD = ("#xyz-field-password", "input[name=password]", ".xyz-password", "input[type=password]")
SUBMIT = (
    ".xyz-button-login",
    "form.xyzform-username button[type=submit]",
    ".xyzblock-username-submit button[type=submit]",
    "form.xyzform-submit button[type=submit]",
    "#submitForm",
    ".btn.btn-lg.btn-primary",
    "text:^(login|log in|simulated login)$",
)
"""`text:` is a pattern on what a button says, in any case."""
CONTINUE = (".xyzblock-username-submit button", "form.xyzform-username button[type=submit]", "text:^(continue|next)$")
LOADING = (".xyzblock.xyzblock-loading.position-absolute", ".xyzblock-loading")
FINISHED = (".xyzblock-finished", ".xyzblock-success")
ERROR = (
    ".xyzblock-error .xyz-errormessage",
    ".xyz-errormessage",
    ".xyz-error",
    "[role=alert]",
    ".is-invalid ~ .invalid-feedback",
    ".page-validate .v-email-failed",
    ".alert.alert-danger.margin-top-10",
    "#ERRORMSG",
)
BULLETIN = (".gstat",)
CONSENT = ("#cookie-modal", "#cookie-header-banner", ".modal-backdrop", "#onetrust-banner-sdk")
PROMO = (".ibkey-promo-skip",)
RESTRICTED = ("form.form-email", "input[name=email-code]", "text:^(skip verification|continue login)$")
TASKS = (
    "#reg-content",
    "#applicationForm",
    "#amContents",
    "#toggleSkipLoginTaskButton",
    "#completeLoginTaskButton",
    "#getContinueButtonActionButton",
)
UNSTYLED = 3
"""The page shows one second factor at a time; so many beside the form mean that nothing hides them."""
PAPER_SWITCH = (".xyz-paperswitch", "label[for=toggle1]", ".toggle-wrapper")
LOGIN_TYPE = ("input[name=loginType]", ".xyz-logintype")
"""The hidden field of the form that says which mode is asked for: 1 live, 2 paper."""
PAPER_CHECKBOX = ("#toggle1", "input[name=paperSwitch]", ".xyz-paper-switch[type=checkbox]")
"""The checkbox itself is hidden behind the switch."""


class SecondFactor(StrEnum):
    """What the page asks for after the password."""

    PICKER = "a choice between several methods"
    OTP_SELECTOR = "a choice of how to send a code"
    SILVER = "a six-digit code (authenticator app or SMS)"
    NOTIFICATION = "approval on the phone (IB Key)"
    GOLD = "a challenge and response (IB Key or device)"
    BRONZE = "the security code card"
    TEMP = "a temporary or e-mailed passcode"
    FIDO = "a passkey"
    QR = "a QR code"
    OLD = "a second factor of the old page"


SECOND_FACTORS: Mapping[SecondFactor, tuple[str, ...]] = MappingProxyType(
    {
        SecondFactor.PICKER: (".xyzblock-multiplesf", ".xyz-multipleselect"),
        SecondFactor.OTP_SELECTOR: (".xyzblock-otpselector",),
        SecondFactor.SILVER: (".xyzblock-silver", "#xyz-field-silver-response"),
        SecondFactor.NOTIFICATION: (
            ".xyzblock-notification",
            ".login-step-notification",
            ".xyzblock-ibkey",
            ".xyzblock-enablepush",
        ),
        SecondFactor.GOLD: (".xyzblock-gold", ".xyzblock-manualibkey", "#xyz-field-gold-response"),
        SecondFactor.BRONZE: (".xyzblock-bronze", "#xyz-field-bronze-response"),
        SecondFactor.TEMP: (".xyzblock-temp", "#xyz-field-temp-response"),
        SecondFactor.FIDO: (".xyzblock-fido",),
        SecondFactor.QR: (".xyzblock-qrcode",),
        SecondFactor.OLD: ("#twofactbase", "#chlginput", "input[autocomplete=one-time-code]"),
    }
)

CODE_FIELDS: Mapping[SecondFactor, tuple[str, ...]] = MappingProxyType(
    {
        SecondFactor.SILVER: ("#xyz-field-silver-response", "input[name=silver-response]", ".xyz-silver-response"),
        SecondFactor.GOLD: ("#xyz-field-gold-response", ".xyz-gold-response"),
        SecondFactor.BRONZE: ("#xyz-field-bronze-response", ".xyz-bronze-response"),
        SecondFactor.TEMP: ("#xyz-field-temp-response", "input[name=temp-response]", ".xyz-temp-response"),
        SecondFactor.OLD: ("input[autocomplete=one-time-code]",),
    }
)
"""Where an answer is typed; the other second factors have no such field."""
CODE_SUBMIT = tuple(f".xyzform-{block} button[type=submit]" for block in ("silver", "gold", "bronze", "temp"))
CHALLENGES = (".xyz-goldchallenge", ".xyz-bronzechallenge", ".xyzblock-bronze")
"""What the answer to gold and bronze depends on."""
CHANNEL_TEXT = (".xyz-otp-select-text",)

ELEMENTS: Mapping[Element, tuple[str, ...]] = MappingProxyType(
    {
        "username": USERNAME,
        "password": PASSWORD,
        "submit": SUBMIT,
        "continue": CONTINUE,
        "loading": LOADING,
        "finished": FINISHED,
        "error": ERROR,
        "bulletin": BULLETIN,
        "consent": CONSENT,
        "promo": PROMO,
        "restricted": RESTRICTED,
        "tasks": TASKS,
        "paper-switch": PAPER_SWITCH,
        "paper-checkbox": PAPER_CHECKBOX,
        "method-picker": SECOND_FACTORS[SecondFactor.PICKER],
        "code": tuple(selector for fields in CODE_FIELDS.values() for selector in fields),
        "code-submit": CODE_SUBMIT,
        "push": SECOND_FACTORS[SecondFactor.NOTIFICATION],
    }
)
"""Everything on the page that is looked for or acted on, by the names of `login.selectors` in the configuration."""

_USER_FACTORS: Mapping[Element, SecondFactor] = {
    "method-picker": SecondFactor.PICKER,
    "code": SecondFactor.SILVER,
    "push": SecondFactor.NOTIFICATION,
}
"""Which second factor it is that a user's own selector shows."""

Selectors = Mapping[Element, Sequence[str]]


def merge_selectors(user_selectors: Selectors | None = None) -> dict[Element, list[str]]:
    """Returns the selectors of every element, the user's own before the built-in ones."""
    return {name: [*(user_selectors or {}).get(name, ()), *built_in] for name, built_in in ELEMENTS.items()}


def snapshot_selectors(user_selectors: Selectors | None = None) -> dict[str, list[str]]:
    """Returns everything a snapshot asks for: a name, and selectors of which the first visible one counts."""
    names = ELEMENTS.keys() - {"continue", "paper-checkbox", "code-submit", *_USER_FACTORS}
    table = merge_selectors(user_selectors)
    factors = {second_factor_element(kind): list(built_in) for kind, built_in in SECOND_FACTORS.items()}
    for name, kind in _USER_FACTORS.items():
        factors[second_factor_element(kind)][:0] = (user_selectors or {}).get(name, ())
    return {**{name: table[name] for name in table if name in names}, **factors}


_FACTOR = "second-factor "


def second_factor_element(kind: SecondFactor) -> str:
    """Names the block of a second factor in a snapshot."""
    return f"{_FACTOR}{kind.name}"


class PageState(StrEnum):
    """What the page shows, as far as the next step is concerned."""

    PENDING = "no answer yet"
    LOADING = "loading"
    CREDENTIALS = "the form"
    USERNAME_STEP = "the form's first step"
    ERROR = "an error"
    SECOND_FACTOR = "a second factor"
    PROMO = "an advert"
    CONSENT = "a consent layer"
    RESTRICTED = "a verification page"
    TASKS = "tasks of a new user"
    MAINTENANCE = "a maintenance note"
    FINISHED = "a finished login"
    DENIED = "access denied"
    UNREACHABLE = "the browser's own error page"
    BLOCKED = "a refusal of this machine's address"
    TOO_MANY = "too many requests"
    SERVER_ERROR = "a server's error"
    UNSTYLED = "a page without its style"
    BLANK = "nothing"
    UNKNOWN = "an unknown page"


MAX_SHOWN_CHARACTERS = 500
"""Characters of a text that are of interest."""


@dataclass(frozen=True, kw_only=True)
class PageSnapshot:
    """The page at one moment. `visible` has the text of each known element that can be seen.

    Such a text has at most `MAX_SHOWN_CHARACTERS`. Texts are redacted, as the browser gives them; what is decided by
    them is decided by `unredacted`.

    `paper` is the state of the live/paper switch, None without one. `exchanges` counts the calls to
    /sso/Authenticator of this document that were answered well; `exchange` is the HTTP status of the last one, 0 before
    the first, -1 if it broke off. `document` tells documents apart (milliseconds since the epoch); `status` is the HTTP
    status it came with, 0 if unknown. `missing` counts the scripts and styles that did not come. `text` is the start of
    the page's text. `net_error` is Chromium's name for why there is no page, such as ERR_CONNECTION_REFUSED.
    """

    url: str
    is_complete: bool = True
    text: str = ""
    visible: Mapping[str, str] = field(default_factory=dict)
    inputs: int = 0
    paper: bool | None = None
    exchanges: int = 0
    exchange: int = 0
    document: float = 0.0
    status: int = 0
    missing: int = 0
    net_error: str = ""

    @property
    def is_exchange_broken(self) -> bool:
        """Whether the last call to /sso/Authenticator was not answered, or with an error."""
        return self.exchange < 0 or self.exchange >= HTTPStatus.BAD_REQUEST

    @property
    def path(self) -> str:
        """The path of the address, for log lines: queries can carry session tokens."""
        return urlsplit(self.url).path

    @property
    def unredacted_path(self) -> str:
        """The same, to decide by."""
        return urlsplit(unredacted(self.url)).path

    @property
    def left_the_form(self) -> bool:
        """Whether the browser went on from the login page, to wherever."""
        return not self.unredacted_path.lower().startswith("/sso/login")

    @property
    def error(self) -> str:
        """The visible error's text on one line, empty without one."""
        return one_line(self.visible.get("error", ""))

    @property
    def bulletin(self) -> str:
        """The visible maintenance note on one line, empty without one."""
        return one_line(self.visible.get("bulletin", ""))

    @property
    def second_factor(self) -> SecondFactor | None:
        """The second factor that is asked for; the picker before what it picks from."""
        return next((kind for kind in SecondFactor if second_factor_element(kind) in self.visible), None)


def parse_page_snapshot(answer: Mapping[str, Any], *, ignored_error: str = "") -> PageSnapshot:
    """Parses what `page_scripts.INSPECT` returned; an error with the text `ignored_error` is taken for invisible."""
    paper = answer["paper"]
    visible = {str(name): truncated(text, MAX_SHOWN_CHARACTERS) for name, text in answer["visible"].items()}
    if ignored_error and one_line(visible.get("error", "")) == ignored_error:
        del visible["error"]
    return PageSnapshot(
        url=answer["url"],
        is_complete=bool(answer["complete"]),
        text=truncated(answer["text"], MAX_SHOWN_CHARACTERS),
        visible=visible,
        inputs=int(answer["inputs"]),
        paper=None if paper is None else bool(paper),
        exchanges=int(answer["exchanges"]),
        exchange=int(answer["exchange"]),
        document=float(answer["document"]),
        status=int(answer["status"]),
        missing=int(answer["missing"]),
        net_error=str(answer["error"]),
    )


NO_DOCUMENT = PageSnapshot(url="about:blank", is_complete=False)
"""The snapshot while no page has been answered: Chromium holds scripts back then."""


def classify(snapshot: PageSnapshot) -> PageState:
    """Says what the page shows; what lies on top of other things comes first.

    A maintenance note above a usable form is information only: the form counts.
    """
    seen, url, text = snapshot.visible, unredacted(snapshot.url), unredacted(snapshot.text)
    if url.startswith("chrome-error:"):
        # Chromium's own page is also what an error without a body looks like.
        return _by_status(snapshot) or PageState.UNREACHABLE
    if not url.startswith("http"):
        return PageState.PENDING
    if text == SUCCESS_TEXT:
        return PageState.FINISHED
    if text == "Access Denied":
        return PageState.DENIED
    if "/restricted/" in snapshot.unredacted_path or "restricted" in seen:
        return PageState.RESTRICTED
    rows = (
        (_is_unstyled(snapshot), PageState.UNSTYLED),
        ("consent" in seen, PageState.CONSENT),
        ("promo" in seen, PageState.PROMO),
        (snapshot.second_factor is not None, PageState.SECOND_FACTOR),
        ("loading" in seen, PageState.LOADING),
        (bool(snapshot.error), PageState.ERROR),
        ("finished" in seen, PageState.FINISHED),
        ("tasks" in seen, PageState.TASKS),
        ("username" in seen and "password" in seen, PageState.CREDENTIALS),
        ("username" in seen, PageState.USERNAME_STEP),
        (not snapshot.is_complete, PageState.LOADING),
        (bool(snapshot.bulletin or MAINTENANCE.search(text)), PageState.MAINTENANCE),
        (text.lower().startswith("access denied"), PageState.BLOCKED),
    )
    shown = next((state for applies, state in rows if applies), None) or _by_status(snapshot)
    return shown or (PageState.UNKNOWN if text or snapshot.inputs else PageState.BLANK)


def _by_status(snapshot: PageSnapshot) -> PageState | None:
    if snapshot.status == HTTPStatus.TOO_MANY_REQUESTS:
        return PageState.TOO_MANY
    if snapshot.status == HTTPStatus.FORBIDDEN:
        return PageState.BLOCKED
    return PageState.SERVER_ERROR if snapshot.status >= HTTPStatus.INTERNAL_SERVER_ERROR else None


def _is_unstyled(snapshot: PageSnapshot) -> bool:
    """Whether the blocks that are hidden by style are not: then visibility says nothing."""
    factors = sum(name.startswith(_FACTOR) for name in snapshot.visible)
    return "username" in snapshot.visible and factors >= UNSTYLED
