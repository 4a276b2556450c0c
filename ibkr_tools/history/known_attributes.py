"""Which attributes the rows of a statement are known to have: the table is `known_attributes.txt`."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_TABLE = Path(__file__).with_name("known_attributes.txt")
_OF_ALL = "*"


@dataclass(frozen=True)
class KnownRows:
    """Attributes by the name of their row, and the endings that they may have besides."""

    attributes: dict[str, frozenset[str]]
    endings: dict[str, tuple[str, ...]]

    def has_row(self, element: str) -> bool:
        """Says whether a row is known."""
        return element in self.attributes

    def has(self, element: str, attribute: str) -> bool:
        """Says whether a row that is known has an attribute."""
        known = self.attributes[element]
        while attribute not in known:
            ending = next((ending for ending in self.endings[element] if attribute.endswith(ending)), "")
            attribute = attribute.removesuffix(ending)
            if not ending or not attribute:
                return False
        return True


@lru_cache(maxsize=1)
def known_rows() -> KnownRows:
    """Returns the table, which is read once."""
    lines: list[str] = []
    for line in _TABLE.read_text(encoding="utf-8").splitlines():
        if line.startswith(" "):
            lines[-1] += line
        elif not line.startswith("#"):
            lines.append(line)
    attributes: dict[str, frozenset[str]] = {}
    endings: dict[str, tuple[str, ...]] = {}
    of_all: frozenset[str] = frozenset()
    for line in lines:
        head, _, names = line.partition(":")
        words = head.split()
        if words == [_OF_ALL]:
            of_all = frozenset(names.split())
            continue
        for element in words:
            if not element.startswith("-"):
                attributes[element] = of_all | frozenset(names.split())
                endings[element] = tuple(word[1:] for word in words if word.startswith("-"))
    return KnownRows(attributes, endings)
