"""Looks at owners and modes: root at what is root's, the user of the units at their own directories."""

import grp
import os
import pwd
from collections.abc import Iterator
from pathlib import Path

from ibkr_tools.doctor import path_checks, shipped_units
from ibkr_tools.doctor.finding import Finding, Findings, Private
from ibkr_tools.doctor.path_checks import Owners, Tree
from ibkr_tools.doctor.subject import Subject
from ibkr_tools.installation import LAYOUT
from ibkr_tools.instance import current_instance
from ibkr_tools.privileges import service_user

_CHECK = Findings("files")


def _owners() -> Owners:
    users, groups = {"root": 0}, {"root": 0}
    for names, look_up in ((users, _user_id), (groups, _group_id)):
        number = look_up(service_user())
        if number is not None:
            names[service_user()] = number
    return Owners(users=users, groups=groups)


def _user_id(name: str) -> int | None:
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def _group_id(name: str) -> int | None:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def _planned() -> list[shipped_units.PlannedPath]:
    folder = shipped_units.shipped_folder()
    if folder is None:
        return []
    text = (folder / "tmpfiles.d/ibkr-tools.conf").read_text()
    instance = current_instance()
    return [shipped_units.of_instance(entry, instance) for entry in shipped_units.planned_paths(text.splitlines())]


def _directory_above(path: Path, subject: Subject) -> Path | None:
    """Returns the directory of `ibkr` that `path` is in, where that user can exchange it; None: it is in none."""
    roots = (subject.directories.runtime, subject.directories.state)
    return next((root for root in roots if path != root and path.is_relative_to(root)), None)


def check_roots_paths(subject: Subject) -> Iterator[Finding]:
    """Judges what only root can exchange: the configuration, the program, and the directories of the units."""
    if not subject.is_installed:
        return
    owners, problems = _owners(), list[Finding]()
    planned = [entry for entry in _planned() if _directory_above(entry.path, subject) is None]
    closed = dict[Path, None]()
    for entry in planned:
        try:
            facts = path_checks.look_at(entry.path, follow=True)
        except PermissionError:
            closed[entry.path.parent] = None
            continue
        problems += path_checks.judge_planned(entry, facts, owners, below=None)
    known = {entry.path for entry in planned}
    for tree in _trees(subject):
        if tree.user == "root":
            found = (facts for facts in path_checks.look_below(tree.root) if facts.path not in known)
            problems += path_checks.judge_tree(tree, found, owners, program=LAYOUT.home)
    for path in closed:
        yield _CHECK.unseen(f"this user may not look into {path}")
    yield from problems or [_CHECK.ok("configuration and program belong to root")]


def check_own_paths(subject: Subject) -> Iterator[Finding]:
    """Judges what is below the directories of the units; of a person's own, that nobody else can write there."""
    if not subject.is_installed:
        yield from _check_personal(subject)
        return
    owners, problems = _owners(), list[Finding]()
    planned = [entry for entry in _planned() if _directory_above(entry.path, subject) is not None]
    closed = 0
    for entry in planned:
        try:
            facts = path_checks.look_at(entry.path)
        except OSError:
            closed += 1
            continue
        problems += path_checks.judge_planned(entry, facts, owners, below=_directory_above(entry.path, subject))
    known = {entry.path for entry in planned}
    trees = _trees(subject)
    for tree in trees:
        if tree.user == "root":
            continue
        others = [other.root for other in trees if other.root != tree.root and other.root.is_relative_to(tree.root)]
        found = (facts for facts in path_checks.look_below(tree.root, others) if facts.path not in known)
        problems += path_checks.judge_tree(tree, found, owners, program=LAYOUT.home)
    if closed or not os.access(subject.directories.login, os.R_OK | os.X_OK):
        yield _CHECK.unseen("this user may not look into all directories of the units")
    yield from problems or [_CHECK.ok("what the units write belongs to them")]


def _trees(subject: Subject) -> tuple[Tree, ...]:
    directories = subject.directories
    return path_checks.trees(directories.configuration, directories.runtime, directories.state, LAYOUT.home)


def _check_personal(subject: Subject) -> Iterator[Finding]:
    directories, problems = subject.directories, list[Finding]()
    for path in (subject.config_file.parent, directories.runtime, directories.state):
        facts = path_checks.look_at(path, follow=True)
        if facts.kind is not None and facts.mode & 0o022:
            problems.append(
                _CHECK.fault(
                    ("others can write in a directory of ours: ", Private(path)), Private(f"chmod go-w {path}")
                )
            )
    yield from problems or [_CHECK.ok("nobody else can write in our directories")]
