"""The types of a row in the table of endpoints, and how a request is made of it. No I/O."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, assert_never
from urllib.parse import quote

import msgspec


class Tier(StrEnum):
    """Which of the two sessions an endpoint needs."""

    PORTFOLIO = "portfolio"
    BROKERAGE = "brokerage"


class RequestKind(StrEnum):
    """What a request does.

    READ changes nothing. KEEPALIVE reads and keeps the session alive. SESSION controls the session (never orders,
    settings or money); only the process that owns the session may send it.
    """

    READ = "read"
    KEEPALIVE = "keepalive"
    SESSION = "session"


class ParamIn(StrEnum):
    """Where a parameter goes, as OpenAPI's `in`; BODY is a member of the JSON body."""

    PATH = "path"
    QUERY = "query"
    BODY = "body"


class ParamType(StrEnum):
    """What a parameter is.

    LIST is several texts with commas between them, INTEGERS several whole numbers; JSON is anything else a body can
    hold.
    """

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    LIST = "list"
    INTEGERS = "integers"
    JSON = "json"


class Scope(StrEnum):
    """Whom one call is about: the user, one account (`{account}` in the path), or several (`acctIds` in the body)."""

    USER = "user"
    ACCOUNT = "account"
    ACCOUNTS = "accounts"


class Pagination(StrEnum):
    """How an endpoint goes on where one answer is not all.

    PATH: `{page}` in the path counts from 0. QUERY: so does `page` in the query. CURSOR: the read of the same name with
    `_more` takes the last row's `ID` as its `id`.
    """

    PATH = "path"
    QUERY = "query"
    CURSOR = "cursor"


def is_account_number(name: object) -> bool:
    """Says whether something can be asked for as an account: a text that is no path and has nothing invisible in it."""
    return (
        isinstance(name, str)
        and bool(name.strip("."))
        and name == name.strip()
        and ".." not in name
        and not any(letter in "/\\%?#" or not letter.isprintable() for letter in name)
    )


class Parameter(msgspec.Struct, frozen=True):
    """One parameter of an endpoint, named as IBKR names it.

    `choices` are all the values it takes, where IBKR lists them; `default` is what is sent when it is not given.
    """

    name: str
    description: str
    location: ParamIn = ParamIn.QUERY
    type: ParamType = ParamType.TEXT
    required: bool = False
    choices: tuple[str, ...] = ()
    default: str | None = None

    def read(self, text: str) -> Any:
        """Returns the value that a text stands for, as IBKR wants it there.

        Raises:
            ValueError: the text does not fit; the message says what would.
        """
        if self.choices and text not in self.choices:
            raise ValueError(f"{self.name} {text!r}: expected one of {', '.join(self.choices)}")
        if self.location is ParamIn.PATH and not re.fullmatch(r"[A-Za-z0-9_\-]+", text):
            raise ValueError(f"{self.name} {text!r} cannot be part of a path")
        value = self._convert(text)
        if self.location is ParamIn.BODY:
            return value
        return ("true" if value else "false") if isinstance(value, bool) else text

    def _convert(self, text: str) -> Any:
        if self.type is ParamType.JSON:
            try:
                return msgspec.json.decode(text)
            except (msgspec.DecodeError, RecursionError) as error:
                raise ValueError(f"{self.name} {text!r}: expected JSON ({error})") from None
        if not re.fullmatch(_SYNTAX[self.type], text):
            raise ValueError(f"{self.name} {text!r}: expected {_EXPECTED[self.type]}")
        match self.type:
            case ParamType.INTEGER:
                return int(text)
            case ParamType.NUMBER:
                return msgspec.json.decode(text)
            case ParamType.BOOLEAN:
                return text == "true"
            case ParamType.LIST:
                return text.split(",")
            case ParamType.INTEGERS:
                return [int(number) for number in text.split(",")]
            case ParamType.TEXT:
                return text
            case _:
                assert_never(self.type)


_SYNTAX = {
    ParamType.TEXT: r"(?s:.+)",
    ParamType.INTEGER: r"-?[0-9]{1,18}",
    ParamType.NUMBER: r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?",
    ParamType.BOOLEAN: r"true|false",
    ParamType.LIST: r"[^,]+(,[^,]+)*",
    ParamType.INTEGERS: r"[0-9]{1,18}(,[0-9]{1,18})*",
}
"""What a text has to match as a whole, by type; JSON has no pattern."""

_EXPECTED = {
    ParamType.TEXT: "some text",
    ParamType.INTEGER: "a whole number",
    ParamType.NUMBER: "a number",
    ParamType.BOOLEAN: "true or false",
    ParamType.LIST: "one or more, with commas between them",
    ParamType.INTEGERS: "one or more whole numbers, with commas between them",
}


AUTOMATIC_PARAMETERS = frozenset({"acctIds"})
"""Parameters that a fetch fills in with the chosen accounts."""


class Endpoint(msgspec.Struct, frozen=True):
    """One method and path under `/v1/api`, with `{names}` for what the caller fills in.

    Attributes:
        name: what people call it, on the command line and as a key of the snapshot; an identifier, so that jq takes it.
        method: GET or POST.
        path: the path.
        tier: the session it needs.
        kind: what it does.
        interval_s: the least time between two calls that IBKR documents, in seconds; 0: only the overall limit.
        description: what it answers, in a few words.
        parameters: all that may be sent with it, besides `{account}`, `{page}` and `acctIds`, which we fill in.
        records_path: the keys that lead to its list of records, or to an object of them, with dots between; "" if the
            answer is the list; None: no list.
        pagination: how the next page is requested; None: one answer is all.
        needs_warm_up: whether IBKR may answer emptily at first, though there is something.
        source: where the row comes from: `campus` (IBKR's documentation), `oas` (IBKR's published schema),
            `recorded` (answers recorded by public projects), `gateway` (the gateway's own program).
    """

    name: str
    method: str
    path: str
    tier: Tier
    kind: RequestKind
    interval_s: float = 0.0
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    records_path: str | None = None
    pagination: Pagination | None = None
    needs_warm_up: bool = False
    source: str = "campus"

    @property
    def scope(self) -> Scope:
        """Whom one call is about."""
        if "{account}" in self.path:
            return Scope.ACCOUNT
        return Scope.ACCOUNTS if any(parameter.name == "acctIds" for parameter in self.parameters) else Scope.USER

    @property
    def user_parameters(self) -> tuple[Parameter, ...]:
        """The parameters that a person may give."""
        return tuple(parameter for parameter in self.parameters if parameter.name not in AUTOMATIC_PARAMETERS)

    @property
    def names(self) -> tuple[str, ...]:
        """The `{names}` of the path."""
        return tuple(re.findall(r"\{(\w+)\}", self.path))

    def fill(self, **names: str) -> str:
        """Returns the path with its names filled in; what an account's number has that is no letter is escaped.

        Raises:
            ValueError: a value that could name another path (a slash, two dots, an escape).
        """
        for name, value in names.items():
            if not (is_account_number(value) if name == "account" else re.fullmatch(r"[A-Za-z0-9_\-]+", value)):
                raise ValueError(f"{name} {value!r} cannot be part of a path")
        return self.path.format(**{name: quote(value, safe="") for name, value in names.items()})

    def accepts(self, query: Mapping[str, object] | None, body: object) -> bool:
        """Says whether nothing but this endpoint's own parameters would be sent."""
        known = {
            location: {parameter.name for parameter in self.parameters if parameter.location is location}
            for location in ParamIn
        }
        if self.pagination is Pagination.QUERY:
            known[ParamIn.QUERY].add("page")
        if set(query or {}) - known[ParamIn.QUERY]:
            return False
        if body is None:
            return True
        return self.method == "POST" and isinstance(body, Mapping) and set(body) <= known[ParamIn.BODY]
