"""What is shipped in `systemd/`: the units, their drop-ins, and which owner and mode every directory has."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ibkr_tools.installation import LAYOUT, LOCAL, Layout
from ibkr_tools.instance import directory_of, in_names_of, user_of
from ibkr_tools.privileges import SERVICE_USER

_PLACES = (Path(__file__).parent / "systemd", Path(__file__).parents[2] / "systemd")
"""The wheel carries them inside the package, a checkout at its root."""


def tmpfiles_file(instance: str | None) -> Path:
    """Returns the file for systemd-tmpfiles of an instance."""
    return LAYOUT.library / f"tmpfiles.d/{user_file_name(instance)}"


def sysusers_file(instance: str | None) -> Path:
    """Returns the file for systemd-sysusers of an instance."""
    return LAYOUT.library / f"sysusers.d/{user_file_name(instance)}"


def user_file_name(instance: str | None) -> str:
    """Returns the name of a file about the users or the directories of an instance."""
    return f"{directory_of(Path('ibkr-tools'), instance)}.conf"


def shipped_folder() -> Path | None:
    """Returns the folder; None where the installation is incomplete."""
    return next((place for place in _PLACES if place.is_dir()), None)


def targets(folder: Path, layout: Layout = LAYOUT) -> Mapping[Path, Path]:
    """Returns where each file is installed, and the file: the inverse of `shipped_files` in bin/_installed.sh."""
    found: dict[Path, Path] = {}
    for source in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = source.relative_to(folder)
        if name.parts[0] in {"sysusers.d", "tmpfiles.d"}:
            found[layout.library / name] = source
        elif name.parts[0].startswith("since-"):
            found[layout.units.joinpath(*name.parts[1:])] = source
        else:
            found[layout.units / name] = source
    return found


def restore_command(source: Path, target: Path, layout: Layout = LAYOUT) -> str:
    """Returns the command that puts a file in its place again, as it was installed."""
    copied = f"sudo install -D -o root -g root -m 0644 {source} {target}"
    return copied if layout is LOCAL else f"{copied} && sudo sed -i 's|{LOCAL.home}|{layout.home}|g' {target}"


@dataclass(frozen=True, kw_only=True)
class PlannedPath:
    """One line of tmpfiles.d: a path, its mode and its owner, and whether it is there in any case."""

    path: Path
    mode: int
    user: str
    group: str
    is_directory: bool
    is_required: bool


def planned_paths(lines: Iterable[str]) -> Iterator[PlannedPath]:
    """Yields what the file `tmpfiles.d/ibkr-tools.conf` plans; see tmpfiles.d(5)."""
    for line in lines:
        words = line.split()
        if len(words) >= 5 and words[0] in {"d", "f", "z"}:  # noqa: PLR2004  # type, path, mode, user, group
            yield PlannedPath(
                path=Path(words[1]),
                mode=int(words[2], 8),
                user=words[3],
                group=words[4],
                is_directory=words[0] == "d",
                is_required=words[0] != "z",
            )


def of_instance(planned: PlannedPath, instance: str | None) -> PlannedPath:
    """Returns a line of the shipped file as bin/_instance.sh has it for an instance."""
    if instance is None:
        return planned
    names = {SERVICE_USER: user_of(SERVICE_USER, instance)}
    return replace(
        planned,
        path=Path(in_names_of(str(planned.path), instance)),
        user=names.get(planned.user, planned.user),
        group=names.get(planned.group, planned.group),
    )
