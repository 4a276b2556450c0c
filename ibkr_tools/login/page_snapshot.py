"""What IBKR's login page shows at one moment. Pure; `page_scripts.INSPECT` takes it.

The page is one document with every block in it, all but one or two hidden, so that an element being there proves
nothing; only visibility does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from ibkr_tools.login.redaction import one_line, truncated, unredacted
from ibkr_tools.page_elements import RECOGNISED_ELEMENTS, PageElement, SecondFactor

__all__ = [
    "AUTHENTICATOR",
    "LOGIN_PATH",
    "MAX_SHOWN_CHARACTERS",
    "NO_DOCUMENT",
    "PageSnapshot",
    "Selectors",
    "count_second_factors",
    "merge_selectors",
    "parse_page_snapshot",
    "second_factor_element",
    "snapshot_selectors",
]

LOGIN_PATH = "/sso/Login?forwardTo=22&RL=1&ip2loc=US"
"""Where the gateway sends a browser that opens `/`."""

AUTHENTICATOR = "/sso/Authenticator"
"""Where the page talks to IBKR about the login, step by step."""

MAX_SHOWN_CHARACTERS = 500
"""Characters of a text that are of interest."""

MAX_QUOTED_CHARACTERS = 200
"""Characters of a text that a sentence about the login repeats."""

Selectors = Mapping[str, Sequence[str]]
"""Selectors by the name of a `PageElement`."""

_USER_FACTORS: Mapping[PageElement, SecondFactor] = {
    PageElement.METHOD_PICKER: SecondFactor.PICKER,
    PageElement.CODE: SecondFactor.SILVER,
    PageElement.PUSH: SecondFactor.NOTIFICATION,
}
"""Which second factor it is that a user's own selector shows."""

_ACTED_ON = {PageElement.CONTINUE, PageElement.PAPER_CHECKBOX, PageElement.CODE_SUBMIT}
"""Elements that say nothing about the page's state."""

RECOGNISED = "recognised:"
"""Begins what stands behind the selectors of an element that `recognition.js` can recognise without them."""

_FACTOR = "second-factor "


def second_factor_element(kind: SecondFactor) -> str:
    """Names the block of a second factor in a snapshot."""
    return f"{_FACTOR}{kind.name}"


def merge_selectors(user_selectors: Selectors | None = None) -> dict[str, list[str]]:
    """Returns the selectors of every element, the user's own before the built-in ones."""
    table: dict[str, list[str]] = {}
    for element in PageElement:
        recognised = [f"{RECOGNISED}{element}"] if element in RECOGNISED_ELEMENTS else []
        table[element] = [*(user_selectors or {}).get(element, ()), *element.selectors, *recognised]
    return table


def snapshot_selectors(user_selectors: Selectors | None = None) -> dict[str, list[str]]:
    """Returns everything a snapshot asks for: a name, and selectors of which the first visible one counts."""
    table = merge_selectors(user_selectors)
    factors = {second_factor_element(kind): list(kind.blocks) for kind in SecondFactor}
    for element, kind in _USER_FACTORS.items():
        factors[second_factor_element(kind)][:0] = (user_selectors or {}).get(element, ())
        if element in RECOGNISED_ELEMENTS:
            factors[second_factor_element(kind)].append(f"{RECOGNISED}{element}")
    return {**{name: table[name] for name in table if name not in {*_ACTED_ON, *_USER_FACTORS}}, **factors}


@dataclass(frozen=True, kw_only=True)
class PageSnapshot:
    """The page at one moment. `visible` has the text of each known element that can be seen.

    Such a text has at most `MAX_SHOWN_CHARACTERS`. Texts are redacted, as the browser gives them; what is decided by
    them is decided by `unredacted`.

    `is_parsed`: the document is there, and `is_complete`: so is all that it shows. `paper` is the state of the
    live/paper switch, None without one. `exchanges` counts the calls to /sso/Authenticator of this document that were
    answered well; `exchange` is the HTTP status of the last one, 0 before the first, -1 if it broke off. `document`
    tells documents apart (milliseconds since the epoch); `status` is the HTTP status it came with, 0 if unknown.
    `missing` counts the scripts and styles that did not come. `text` is the start of the page's text. `recognised` has
    the elements that no selector found, and by what they were recognised: `role` or `structure`. `net_error` is
    Chromium's name for why there is no page, such as ERR_CONNECTION_REFUSED. `headline` is the start of title and
    headings. `form_host` is the host of another origin that the form itself would be sent to, empty without one;
    `frame_hosts` has that of each large frame that cannot be looked into.
    """

    url: str
    is_parsed: bool = True
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
    recognised: Mapping[str, str] = field(default_factory=dict)
    net_error: str = ""
    headline: str = ""
    form_host: str = ""
    frame_hosts: tuple[str, ...] = ()

    @property
    def is_exchange_broken(self) -> bool:
        """Whether the last call to /sso/Authenticator was not answered, or with an error."""
        return self.exchange < 0 or self.exchange >= HTTPStatus.BAD_REQUEST

    @property
    def is_browser_error(self) -> bool:
        """Whether this is Chromium's own page about an error: none came, or an error without a body."""
        return unredacted(self.url).startswith("chrome-error:")

    @property
    def is_bad_status(self) -> bool:
        """Whether the status alone says why there is no login page."""
        return (
            self.status in {HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}
            or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        )

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
        return one_line(self.visible.get(PageElement.ERROR, ""))

    @property
    def bulletin(self) -> str:
        """The visible maintenance note on one line, empty without one."""
        return one_line(self.visible.get(PageElement.BULLETIN, ""))

    @property
    def quoted_error(self) -> str:
        """The start of the visible error's text, in quotation marks."""
        return repr(self.error[:MAX_QUOTED_CHARACTERS])

    @property
    def quoted_text(self) -> str:
        """The start of the page's text, in quotation marks."""
        return repr(self.text[:MAX_QUOTED_CHARACTERS])

    @property
    def second_factor(self) -> SecondFactor | None:
        """The second factor that is asked for; the picker before what it picks from."""
        return next((kind for kind in SecondFactor if second_factor_element(kind) in self.visible), None)


def count_second_factors(snapshot: PageSnapshot) -> int:
    """Says how many second factors can be seen; the page shows one at a time."""
    return sum(name.startswith(_FACTOR) for name in snapshot.visible)


def parse_page_snapshot(answer: Mapping[str, Any], *, ignored_error: str = "") -> PageSnapshot:
    """Parses what `page_scripts.INSPECT` returned; an error with the text `ignored_error` is taken for invisible."""
    paper = answer["paper"]
    visible = {str(name): truncated(text, MAX_SHOWN_CHARACTERS) for name, text in answer["visible"].items()}
    if ignored_error and one_line(visible.get(PageElement.ERROR, "")) == ignored_error:
        del visible[PageElement.ERROR]
    return PageSnapshot(
        url=answer["url"],
        is_parsed=bool(answer["parsed"]),
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
        recognised={str(name): str(way) for name, way in answer["recognised"].items()},
        net_error=str(answer["error"]),
        headline=truncated(answer.get("headline", ""), MAX_SHOWN_CHARACTERS),
        form_host=str(answer.get("form_host", "")),
        frame_hosts=tuple(str(host) for host in answer.get("frame_hosts", ())),
    )


NO_DOCUMENT = PageSnapshot(url="about:blank", is_parsed=False, is_complete=False)
"""The snapshot while no page has been answered: Chromium holds scripts back then."""
