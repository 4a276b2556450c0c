"""Owner and mode of every file of ours: those of systemd/tmpfiles.d, and what holds for everything below them.

Nothing is followed that somebody else could have put there: below a directory of `ibkr` a link is looked at itself.
"""

import os
import shlex
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ibkr_tools.doctor.finding import Finding, Findings, Private
from ibkr_tools.doctor.shipped_units import PlannedPath, tmpfiles_file
from ibkr_tools.instance import current_instance
from ibkr_tools.privileges import service_user

_CHECK = Findings("files")
_ACL = "system.posix_acl_access"
_WRITE_BY_OTHERS = 0o022
_MAX_ENTRIES = 200_000
"""Of one tree: snapshots and statements of decades are fewer."""


@dataclass(frozen=True, kw_only=True)
class Tree:
    """What holds for everything below a directory: whose it is (None: anybody's), and which bits nobody may have.

    `top`: the directory that only root can exchange, where that is not `root` itself.
    """

    root: Path
    user: str | None
    forbidden: int
    top: Path | None = None


def trees(configuration: Path, runtime: Path, state: Path, program: Path) -> tuple[Tree, ...]:
    """Returns the rules; of several, the one of the longest path holds."""
    return (
        Tree(root=configuration, user="root", forbidden=_WRITE_BY_OTHERS),
        Tree(root=program, user="root", forbidden=_WRITE_BY_OTHERS),
        Tree(root=runtime, user=service_user(), forbidden=_WRITE_BY_OTHERS),
        Tree(root=state, user=service_user(), forbidden=_WRITE_BY_OTHERS),
        Tree(root=state / "gateway/private", user=service_user(), forbidden=0o077, top=state),
        # Members of the group write there, and share what they have written.
        Tree(root=state / "shared", user=None, forbidden=0o002),
    )


@dataclass(frozen=True, kw_only=True)
class PathFacts:
    """What is at a path: None of everything where nothing is. `has_acl`: more people than the mode says."""

    path: Path
    kind: int | None
    mode: int = 0
    uid: int = 0
    gid: int = 0
    has_acl: bool = False


def look_at(path: Path, *, follow: bool = False) -> PathFacts:
    """Returns what is at `path`.

    Raises:
        OSError: it cannot be looked at.
    """
    try:
        entry = path.stat() if follow else path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return PathFacts(path=path, kind=None)
    has_acl = False
    with suppress(OSError):
        has_acl = _ACL in os.listxattr(path, follow_symlinks=follow)
    kind, mode = stat.S_IFMT(entry.st_mode), stat.S_IMODE(entry.st_mode)
    return PathFacts(path=path, kind=kind, mode=mode, uid=entry.st_uid, gid=entry.st_gid, has_acl=has_acl)


def look_below(root: Path, but_not: Iterable[Path] = ()) -> Iterator[PathFacts]:
    """Yields what is below a directory; follows no link, and passes by what this user may not enter."""
    excluded, seen = set(but_not), 0
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if Path(folder, name) not in excluded]
        for name in (*names, *files):
            seen += 1
            if seen > _MAX_ENTRIES:
                return
            with suppress(OSError):
                entry = os.lstat(os.path.join(folder, name))  # noqa: PTH118  # thousands of them
                kind, mode = stat.S_IFMT(entry.st_mode), stat.S_IMODE(entry.st_mode)
                yield PathFacts(
                    path=Path(folder, name), kind=kind, mode=mode, uid=entry.st_uid, gid=entry.st_gid, has_acl=False
                )


@dataclass(frozen=True, kw_only=True)
class Owners:
    """The numbers behind the names; None where there is no such user."""

    users: dict[str, int]
    groups: dict[str, int]


def reach_safely(path: Path, root: Path) -> tuple[str, Path]:
    """Returns the options and the path with which root may change the owner of `path`, or its mode, below `root`.

    Whoever may write a directory on the way to a path can exchange it by a link. So root names no path that goes
    through what is in `root`; `chown -hR` and `chmod -R` go down from its first part, and follow no link there.
    """
    first = root / path.relative_to(root).parts[0]
    return ("", path) if first == path else ("R", first)


def judge_planned(planned: PlannedPath, facts: PathFacts, owners: Owners, *, below: Path | None) -> Iterator[Finding]:
    """Yields what is wrong with one path of tmpfiles.d; `below`: the directory of `ibkr` that it is in, if any."""
    path = planned.path
    # Root moves nothing, and changes no mode, where `ibkr` could put a link in the way.
    who = "sudo" if below is None else f"sudo runuser -u {service_user()} --"
    if facts.kind is None:
        if planned.is_required:
            yield _CHECK.fault(
                f"{path} is missing", f"sudo systemd-tmpfiles --create {tmpfiles_file(current_instance())}"
            )
        return
    wanted = stat.S_IFDIR if planned.is_directory else stat.S_IFREG
    if (planned.is_required and facts.kind != wanted) or facts.kind == stat.S_IFLNK:
        noun = "directory" if planned.is_directory else "file"
        what = "a link" if facts.kind == stat.S_IFLNK else "something else"
        yield _CHECK.fault(
            f"{path} is {what}, and no {noun}",
            f"{who} mv -T {path} {path}.away && sudo systemd-tmpfiles --create {tmpfiles_file(current_instance())}",
        )
        return
    uid, gid = owners.users.get(planned.user), owners.groups.get(planned.group)
    steps = []
    if uid is not None and gid is not None and (facts.uid, facts.gid) != (uid, gid):
        recursive, target = ("", path) if below is None else reach_safely(path, below)
        steps.append(f"sudo chown -h{recursive} {planned.user}:{planned.group} {target}")
    if facts.has_acl:
        steps.append(f"{who} setfacl -b {path}")
    if facts.mode != planned.mode or facts.has_acl or (steps and planned.mode & stat.S_ISGID):
        steps.append(f"{who} chmod {planned.mode:04o} {path}")
    if steps:
        yield _CHECK.fault(_difference(planned, facts, owners), " && ".join(steps))


def _difference(planned: PlannedPath, facts: PathFacts, owners: Owners) -> str:
    owner = f"{_name(facts.uid, owners.users)}:{_name(facts.gid, owners.groups)}"
    acl = ", with an access list," if facts.has_acl else ""
    wanted = f"{planned.mode:04o} {planned.user}:{planned.group}"
    return f"{planned.path} is {facts.mode:04o} {owner}{acl} and should be {wanted}"


def _name(number: int, names: dict[str, int]) -> str:
    """Returns the name of one of our own users, else that it is another: a person's name is not for a report."""
    return next((name for name, known in names.items() if known == number), "of another user")


def judge_tree(tree: Tree, found: Iterable[PathFacts], owners: Owners, *, program: Path) -> Iterator[Finding]:
    """Yields one finding for the owners, and one for the modes, of all that is below a directory."""
    uid = owners.users.get(tree.user) if tree.user else None
    foreign, loose = list[Path](), list[Path]()
    for facts in found:
        if uid is not None and facts.uid != uid:
            foreign.append(facts.path)
        if facts.kind != stat.S_IFLNK and facts.mode & tree.forbidden:
            loose.append(facts.path)
    group = "root" if tree.user == "root" and tree.root == program else service_user()
    if foreign:
        recursive, names = _safe_names(foreign, tree)
        yield _CHECK.fault(
            (*_several(foreign, tree), f" should belong to {tree.user}"),
            (f"sudo chown -h{recursive} {tree.user}:{group} ", *names),
        )
    if loose:
        bits = "go-rwx" if tree.forbidden & 0o044 else "go-w" if tree.forbidden & 0o020 else "o-w"
        can = "be opened" if tree.forbidden & 0o044 else "be written"
        command: tuple[str | Private, ...] = (
            f"sudo runuser -u {service_user()} -- chmod {bits} ",
            *_names(loose, tree),
        )
        if tree.user == "root":
            recursive, names = _safe_names(loose, tree)
            command = (f"sudo chmod {'-R ' if recursive else ''}{bits} ", *names)
        yield _CHECK.fault((*_several(loose, tree), f" can {can} by others"), command)


def _several(paths: list[Path], tree: Tree) -> tuple[str | Private, ...]:
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{tree.root}/", Private(paths[0].relative_to(tree.root)), more


_NAMED = 20


def _names(paths: list[Path], tree: Tree) -> tuple[str | Private, ...]:
    if len(paths) > _NAMED:
        return "-R ", str(tree.root)
    return (_quoted(paths),)


def _quoted(paths: Iterable[Path]) -> Private:
    return Private(" ".join(shlex.quote(str(path)) for path in paths))


def _safe_names(paths: list[Path], tree: Tree) -> tuple[str, tuple[str | Private, ...]]:
    """Returns what root names to reach all of `paths`, and the option that goes with it; see `reach_safely`."""
    top = tree.top or tree.root
    reached = [reach_safely(path, top) for path in paths]
    recursive = "R" if any(option for option, _ in reached) else ""
    targets = list(dict.fromkeys(target for _, target in reached))
    return ("R", (str(top),)) if len(targets) > _NAMED else (recursive, (_quoted(targets),))
