"""The unit files in `systemd/`, as systemd reads them: a unit, then its drop-ins in the order of their names.

`python -P -m tests.support.unit_files` writes the table of units in docs/systemd.md.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.checkout import CHECKOUT

SYSTEMD = CHECKOUT / "systemd"
PAGE = CHECKOUT / "docs/systemd.md"
KINDS = (".service", ".socket", ".path", ".timer")
FILES = sorted(path for path in SYSTEMD.glob("ibkr-*") if path.suffix in KINDS)
SERVICES = [path for path in FILES if path.suffix == ".service"]
SANDBOX = SYSTEMD / "ibkr-.service.d/10-sandbox.conf"
"""The drop-in of every service."""

VENV = "/opt/ibkr-tools/venv/bin/"
BEGIN, END = "<!-- units -->\n\n", "\n<!-- /units -->"


def directives(path: Path) -> Iterator[tuple[str, str]]:
    """Yields key and value of every line of one file that sets something."""
    for line in path.read_text().splitlines():
        if line and not line.startswith(("#", "[")):
            key, _, value = line.partition("=")
            yield key, value


def drop_ins(path: Path) -> list[Path]:
    """Returns the drop-ins of a unit, in the order in which systemd reads them after it."""
    folders = [SYSTEMD / f"{path.name}.d", *([SANDBOX.parent] if path.suffix == ".service" else [])]
    return sorted((file for folder in folders for file in folder.glob("*.conf")), key=lambda file: file.name)


class Unit:
    """One unit with its drop-ins: every value of every directive, in order; an empty value clears those before it."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.purpose = path.read_text().splitlines()[0].removeprefix("# ")
        self.values: dict[str, list[str]] = {}
        for file in (path, *drop_ins(path)):
            for key, value in directives(file):
                self.values[key] = [*self.values.get(key, []), value] if value else []

    def all(self, key: str) -> list[str]:
        """Returns the words of all values of a key."""
        return [word for value in self.values.get(key, []) for word in value.split()]

    def one(self, key: str) -> str:
        """Returns the value of a key that is set once."""
        (value,) = self.values[key]
        return value

    @property
    def command(self) -> list[str]:
        """The words of what a service runs, if it is a program of ours, without the path of the virtual environment."""
        words = self.all("ExecStart")
        return [words[0].removeprefix(VENV), *words[1:]] if words and words[0].startswith(VENV) else []


def unit(name: str) -> Unit:
    """Returns the unit of that name."""
    return Unit(SYSTEMD / name)


def started_by(name: str) -> str:
    """Says in Markdown what starts a unit: other units, a failure, or the boot once it is enabled."""
    reasons = []
    for path in FILES:
        starter, is_sibling = Unit(path), path.name != name and path.stem == Path(name).stem
        triggers = is_sibling and path.suffix != ".service"
        if triggers or (name in {*starter.all("Wants"), *starter.all("Requires")} and not is_sibling):
            reasons.append(f"`{starter.name}`")
    failures = [path.stem for path in FILES if Unit(path).values.get("OnFailure") == [name.replace("@.", "@%n.")]]
    if failures:
        reasons.append(f"`OnFailure=` of {', '.join(f'`{failure}`' for failure in failures)}")
    reasons += [
        "the boot, once enabled" if wanting == "multi-user.target" else f"`{wanting}`, once enabled"
        for wanting in unit(name).all("WantedBy")
    ]
    return ", ".join(reasons)


def table() -> str:
    """Returns the table of units in Markdown."""
    rows = ["| unit | what it is | runs | started by |", "| --- | --- | --- | --- |"]
    for path in FILES:
        shown = Unit(path)
        command = " ".join(word for word in shown.command if word != "-I")
        purpose = re.sub(r"\.$", "", shown.purpose).replace("|", r"\|")
        rows.append(f"| `{path.name}` | {purpose} | {f'`{command}`' if command else ''} | {started_by(path.name)} |")
    return "\n".join(rows) + "\n"


def shown_table(page: str) -> str:
    """Returns the table that a page shows."""
    return page.partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    """Writes the table into the page."""
    page = PAGE.read_text()
    PAGE.write_text(page.replace(BEGIN + shown_table(page) + END, BEGIN + table() + END))


if __name__ == "__main__":
    main()
