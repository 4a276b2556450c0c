"""The ways in which a page, an address or a script may write a password."""

import html
import json
import unicodedata
from collections.abc import Callable, Mapping
from urllib.parse import quote, quote_plus

__all__ = ["SPELLINGS"]

SPELLINGS: Mapping[str, Callable[[str], str]] = {
    "plain": str,
    "html": html.escape,
    "html in html": lambda text: html.escape(html.escape(text)),
    "html without quotes": lambda text: html.escape(text, quote=False),
    "decimal": lambda text: "".join(f"&#{ord(one)};" for one in text),
    "hexadecimal": lambda text: "".join(f"&#x{ord(one):X};" for one in text),
    "named where not ASCII": lambda text: text.encode("ascii", "xmlcharrefreplace").decode(),
    "address": lambda text: quote(text, safe=""),
    "address in small letters": lambda text: quote(text, safe="").lower(),
    "address in address": lambda text: quote(quote(text, safe=""), safe=""),
    "form": quote_plus,
    "html in address": lambda text: quote(html.escape(text), safe=""),
    "json": lambda text: json.dumps(text)[1:-1],
    "json in json": lambda text: json.dumps(json.dumps(text)[1:-1])[1:-1],
    "json in address": lambda text: quote(json.dumps(text)[1:-1], safe=""),
    "python": lambda text: repr(text)[1:-1],
    "script": lambda text: text.replace("\\", "\\\\").replace("'", "\\'").replace('"', '\\"'),
    "capitals": str.upper,
    "small letters": str.lower,
    "one blank": lambda text: " ".join(text.split()),
    "no blank": lambda text: "".join(text.split()),
    "other blanks": lambda text: "\n\t".join(text.split()),
    "hard blanks": lambda text: "&nbsp;".join(text.split()),
    "soft hyphens": "\u00ad".join,
    "unseen blanks": "\u200b".join,
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
}
"""By name; each gives the text as that writes it."""
