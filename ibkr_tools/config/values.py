"""What single values of the configuration may be, and what was probably meant by one that is none. Pure."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from ibkr_tools.terminal_escape import INVISIBLE_CHARACTERS

ARGUMENT_PATTERN = r"^[^\x00]+$"
"""What the kernel takes as an argument."""

DATABASE_PATTERN = (
    r"^postgresql://(?:[^:/@?#\s]+@)?(?:[^:/@?#\s\[\]]*|\[[^/@?#\s\[\]]+\])(?::[0-9]{1,5})?/[^:/@?#\s]+"
    r"(?:\?(?!(?:.*&)?(?:password|[^=&#]*%[^=&#]*)=)[^#\s]*)?$(?!\n)"
)
"""Of a database: user, host and port may be missing, the name of the database not; a password stands elsewhere."""

PATH_PATTERN = r"^(?!~[^/])[^\x00]+$"
"""What the kernel takes as a path, or that below the home directory with `~`. Another user's home is not looked up."""

TEXTFILE_PATTERN = r"^/(?:[^\x00\n]*/)?[^\x00\n/]+\.prom$(?!\n)"
"""Of a file for node_exporter, which reads no others; relative to what would be anybody's guess."""

USERNAME_PATTERN = rf"^(?![ \xa0])[^{INVISIBLE_CHARACTERS}]+(?<![ \xa0])$(?!\n)"
"""What can be typed into a field of one line."""

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?"
_LAST_LABEL = r"[A-Za-z](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?"
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_HOST = rf"(?:(?:{_LABEL}\.)*{_LAST_LABEL}|{_BYTE}(?:\.{_BYTE}){{3}})"
_PORT = r"(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"

UPSTREAM_PATTERN = rf"^https?://(?=[^:]{{1,253}}(?::|$)){_HOST}(?::{_PORT})?$(?!\n)"
"""Scheme, host, and port if it is not the scheme's. Java is started for IPv4 alone."""

RESTRICTED_PORTS = frozenset({
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
    110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530,
    531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 5060,
    5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6697, 10080,
})  # fmt: skip
"""What Chromium opens no page from: other protocols' ports. kRestrictedPorts in its net/base/port_util.cc; each port of
Chromium 156 was tried. A test tries them with the one that is installed."""


def port_problem(port: object) -> str:
    """Returns why the gateway cannot be on a port; an empty text if it can."""
    if port in RESTRICTED_PORTS:
        return f"Chromium opens no page from port {port} (it belongs to another protocol); 5000 is free for it"
    return ""


def explain_upstream(text: str) -> str:
    """Returns what is wrong with a text that is no upstream, and what was probably meant."""
    bare = text.strip()
    if re.search(f"[{INVISIBLE_CHARACTERS}]", bare):
        return "there is a character in it that cannot be seen"
    if "://" not in bare:
        fixed = f"https://{bare.strip('/')}"
        return f"did you mean {fixed!r}?" if re.search(UPSTREAM_PATTERN, fixed) else ""
    if "@" in bare:
        return "no user name and no password belong in it"
    try:
        parts = urlsplit(bare)
        host, port = parts.hostname or "", parts.netloc.rpartition(":")[2] if ":" in parts.netloc else ""
    except ValueError:
        return "there is no host in it"
    scheme = parts.scheme.lower()
    if scheme not in ("http", "https"):
        return f"the gateway speaks https (and http to the simulator), not {scheme}"
    if ":" in host:
        return "an address of IPv6 has no place here; write a name that leads to it"
    fixed = f"{scheme}://{host}{f':{port}' if port else ''}"
    if re.search(UPSTREAM_PATTERN, fixed):
        return f"did you mean {fixed!r}?"
    if port and not re.fullmatch(_PORT, port):
        return "a port is a number from 1 to 65535"
    return f"{host!r} can be no host" if host else "there is no host in it"


def explain_username(text: str) -> str:
    """Returns what is wrong with a text that is no user name, without showing it."""
    if text != text.strip():
        return "there are blanks around it" if text.strip() else "there is nothing in it"
    hidden = re.search(f"[{INVISIBLE_CHARACTERS}]", text)
    return f"character {hidden.start() + 1} cannot be seen (U+{ord(hidden[0]):04X})" if hidden else ""


def explain_database(text: str) -> str:
    """Returns what is wrong with a text that is no database's URL, without showing it."""
    if "password=" in text or re.search(r"^[^?]*:[^/?]*.*@", text.partition("://")[2] or text):
        return "the password belongs into the file database-password beside the configuration"
    return "" if text.startswith("postgresql://") else "it begins with postgresql://"


def explain_nothing(_text: str) -> str:
    """Returns no more than what the expectation says."""
    return ""


IBKR_FLEX_HOSTS = ("ndcdyn.interactivebrokers.com", "gdcdyn.interactivebrokers.com")
"""IBKR's hosts of the Flex Web Service; the first one is asked, and may name the other."""

QUERY_PATTERN = r"^[0-9]{1,12}$(?!\n)"
"""The number of a Flex query."""

_MIN_TOKEN_DIGITS = 15


def is_loopback(address: str) -> bool:
    """Says whether an address of HTTP is one of this machine."""
    host = urlsplit(address).hostname or ""
    return host == "localhost" or re.fullmatch(r"127(?:\.[0-9]{1,3}){3}", host) is not None


def flex_upstream_problem(upstream: object) -> str:
    """Returns why the token must not be sent to an address; an empty text if it may."""
    if isinstance(upstream, str) and upstream.startswith("http://") and not is_loopback(upstream):
        return "http to another machine: the token would go there unencrypted"
    return ""


def explain_query(text: str) -> str:
    """Returns what was probably meant by a text that is no query's number, without showing it."""
    bare = text.strip()
    if bare.isdecimal() and len(bare) >= _MIN_TOKEN_DIGITS:
        return 'so many digits are a token; its place is "token" in the same section'
    return "the list of queries in Client Portal shows it behind the i of each"


PatternHint = tuple[str, Callable[[str], str]]
"""What a pattern means in words, and what says what was probably meant by a text that does not fit it."""
