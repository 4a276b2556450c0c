"""The settings of a unit as systemd reads them: its file, then its drop-ins in the order of their names.

Read from the disk, so that they can be compared with what was shipped, whether systemd runs or not: systemd.unit(5).
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

UNIT_PATHS = tuple(
    Path(path)
    for path in (
        "/etc/systemd/system.control",
        "/run/systemd/system.control",
        "/run/systemd/transient",
        "/run/systemd/generator.early",
        "/etc/systemd/system",
        "/etc/systemd/system.attached",
        "/run/systemd/system",
        "/run/systemd/system.attached",
        "/run/systemd/generator",
        "/usr/local/lib/systemd/system",
        "/usr/lib/systemd/system",
        "/lib/systemd/system",
        "/run/systemd/generator.late",
    )
)
"""In the order of their precedence, as `systemd-analyze unit-paths` prints it."""

Key = tuple[str, str]
"""Section and name of a setting."""

Settings = Mapping[Key, tuple[str, ...]]
"""The values of each setting, in order; an empty one has cleared those before it."""


def assignments(text: str) -> Iterable[tuple[Key, str]]:
    """Yields every assignment of a unit file."""
    section, pending = "", ""
    for line in text.splitlines():
        if line.lstrip().startswith(("#", ";")):
            # Also within a line that goes on: systemd passes comments by.
            continue
        whole = pending + line
        if whole.endswith("\\"):
            pending = whole[:-1] + " "
            continue
        pending = ""
        bare = whole.strip()
        if bare.startswith("[") and bare.endswith("]"):
            section = bare[1:-1]
        elif "=" in bare:
            name, _, value = bare.partition("=")
            yield (section, name.strip()), value.strip()


def settings_of(texts: Iterable[str]) -> Settings:
    """Returns what several files come to, in this order."""
    found: dict[Key, tuple[str, ...]] = {}
    for text in texts:
        for key, value in assignments(text):
            found[key] = (*found.get(key, ()), value) if value else ()
    return found


def drop_in_folders(unit: str) -> list[str]:
    """Returns the names of the folders whose files are drop-ins of `unit`; a later one is less specific."""
    stem, _, kind = unit.rpartition(".")
    names = [unit]
    if "@" in stem:
        stem = f"{stem.partition('@')[0]}@"
        names.append(f"{stem}.{kind}")
    prefix = stem
    while "-" in prefix.rstrip("-"):
        prefix = prefix.rstrip("-").rpartition("-")[0] + "-"
        names.append(f"{prefix}.{kind}")
    names.append(kind)
    return [f"{name}.d" for name in dict.fromkeys(names)]


def unit_files(unit: str, places: Sequence[Path] = UNIT_PATHS) -> list[Path]:
    """Returns the file of `unit`, or its template, and its drop-ins, in the order in which systemd reads them.

    Of several with one name the first in the order of precedence counts; one that is a link to /dev/null is no file.
    """
    stem, _, kind = unit.rpartition(".")
    names = [unit, *([f"{stem.partition('@')[0]}@.{kind}"] if "@" in stem else [])]
    fragment = next((place / name for name in names for place in places if (place / name).exists()), None)
    by_name: dict[str, Path] = {}
    for folder in drop_in_folders(unit):
        for place in places:
            for path in sorted((place / folder).glob("*.conf")):
                by_name.setdefault(path.name, path)
    files = [*([fragment] if fragment else []), *(path for _, path in sorted(by_name.items()))]
    return [path for path in files if not is_masked(path)]


def is_masked(path: Path) -> bool:
    """Says whether a file of a unit stands for nothing."""
    return path.resolve() == Path("/dev/null") or (path.is_file() and path.stat().st_size == 0)


def read_files(files: Iterable[Path]) -> list[str]:
    """Returns their texts; one that cannot be read is empty."""
    texts = []
    for path in files:
        try:
            texts.append(path.read_text(errors="replace"))
        except OSError:
            texts.append("")
    return texts
