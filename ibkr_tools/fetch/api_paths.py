"""Raw paths of IBKR's Web API, as a person types them: which row of the table of endpoints one is. No I/O.

Nothing of a path is ever sent: it only finds a row, and the values for the row's names. What could mean one path here
and another one at IBKR is refused.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from ibkr_tools.errors import UsageError
from ibkr_tools.portal.endpoints import READS, Endpoint

_PREFIX = re.compile(r"/v1/(?:api|portal)(?=/|$)")
"""What the gateway puts before a path; it rewrites the second to the first."""

_SEGMENT = re.compile(r"[A-Za-z0-9_\-]+")
MIN_SIMILARITY = 0.6
"""How similar a path must be to be suggested, as difflib measures it from 0 to 1: its default."""

_READS_HINT = "`ibkr-tools resources` lists all reads."


@dataclass(frozen=True)
class PathMatch:
    """A listed read, what the names of its path stand for, and the query string's parameters."""

    endpoint: Endpoint
    path_parameters: Mapping[str, str]
    query: Mapping[str, str]


def match_path(text: str, method: str | None = None) -> PathMatch:
    """Returns the read that a path means.

    Args:
        text: such as `/portfolio/U1234567/ledger`, without the slash, or with `/v1/api` before it; a query string may
            follow.
        method: GET or POST; None: whichever is listed.

    Raises:
        UsageError: no listed read is of that path and method, or the path is none; the closest one is suggested.
    """
    path, _, query_string = text.partition("?")
    segments = _segments(path)
    matching = [endpoint for endpoint in READS.values() if _matches(endpoint, segments)]
    if not matching:
        raise UsageError(f"{path}: not a listed read{_suggestion(segments)}", hint=_READS_HINT)
    # A literal goes before a name: `/portfolio/positions/1` is no account called `positions`.
    endpoint = max(matching, key=lambda endpoint: [not part.startswith("{") for part in _template_segments(endpoint)])
    if method is not None and method.upper() != endpoint.method:
        raise UsageError(
            f"{method.upper()} {path}: not a listed read; did you mean {endpoint.method} {endpoint.path}?",
            hint=_READS_HINT,
        )
    pairs = zip(_template_segments(endpoint), segments, strict=True)
    path_parameters = {part[1:-1]: value for part, value in pairs if part.startswith("{")}
    if "page" in path_parameters and not re.fullmatch(r"[0-9]{1,6}", path_parameters["page"]):
        raise UsageError(f"{path}: {path_parameters['page']!r} is not the number of a page", hint=_READS_HINT)
    return PathMatch(endpoint, path_parameters, _query(query_string))


def _template_segments(endpoint: Endpoint) -> list[str]:
    return endpoint.path.removeprefix("/").split("/")


def _matches(endpoint: Endpoint, segments: list[str]) -> bool:
    parts = _template_segments(endpoint)
    return len(parts) == len(segments) and all(
        part.startswith("{") or part == segment for part, segment in zip(parts, segments, strict=True)
    )


def _segments(path: str) -> list[str]:
    """Returns the parts of a path, without what the gateway puts before it.

    Raises:
        UsageError: a part that could lead elsewhere: empty, with dots, with an escape or any other sign.
    """
    if "://" in path:
        raise UsageError(f"{path!r}: the path alone is needed, such as /portfolio/accounts")
    absolute = path if path.startswith("/") else f"/{path}"
    segments = _PREFIX.sub("", absolute, count=1).split("/")[1:]
    for segment in segments:
        if not _SEGMENT.fullmatch(segment):
            what = f"{segment!r} cannot be part of a path" if segment else "a part of the path is empty"
            raise UsageError(f"{path!r}: {what}", hint=_READS_HINT)
    if not segments:
        raise UsageError(f"{path!r}: a path is needed, such as /portfolio/accounts", hint=_READS_HINT)
    return segments


def _query(text: str) -> dict[str, str]:
    """Returns a query string's parameters.

    Raises:
        UsageError: it is none, or has one twice.
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict") if text else []
    except ValueError:
        raise UsageError(f"?{text}: not a query string", hint="Parameters go as name=value, with & between.") from None
    query = dict(pairs)
    for name in query:
        if [other for other, _ in pairs].count(name) > 1:
            raise UsageError(f"?{text}: {name} is there twice", hint="Several values of one go with commas between.")
    return query


def _suggestion(segments: list[str]) -> str:
    """Returns a suggestion: the listed path that is most like this one once its names are filled in."""
    closest, similarity = None, MIN_SIMILARITY
    matcher = difflib.SequenceMatcher(b="/".join(segments))
    for endpoint in READS.values():
        parts = _template_segments(endpoint)
        padded = segments + [""] * (len(parts) - len(segments))
        filled = "/".join(
            value if part.startswith("{") else part for part, value in zip(parts, padded[: len(parts)], strict=True)
        )
        matcher.set_seq1(filled)
        # The first two are bounds of the third, and cheap.
        bounds = (matcher.real_quick_ratio, matcher.quick_ratio, matcher.ratio)
        if all(bound() > similarity for bound in bounds):
            closest, similarity = endpoint, matcher.ratio()
    return "" if closest is None else f"; did you mean {closest.method} {closest.path}?"
