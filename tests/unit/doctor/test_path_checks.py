"""Owners and modes: what is planned, what is found, and the command that brings them together."""

import os
import stat
from pathlib import Path

import pytest

from ibkr_tools.doctor import path_checks
from ibkr_tools.doctor.path_checks import Owners, PathFacts, Tree, judge_planned, judge_tree
from ibkr_tools.doctor.shipped_units import PlannedPath, planned_paths, shipped_folder

OWNERS = Owners(users={"root": 0, "ibkr": 990}, groups={"root": 0, "ibkr": 991})
STATE = Path("/var/lib/ibkr-tools")


def planned(path: str) -> PlannedPath:
    """Returns the plan for one path, as it is shipped."""
    folder = shipped_folder()
    assert folder is not None
    lines = (folder / "tmpfiles.d/ibkr-tools.conf").read_text().splitlines()
    return next(entry for entry in planned_paths(lines) if str(entry.path) == path)


def judged(path: str, facts: PathFacts, *, is_ours: bool) -> list[tuple[str, str | None]]:
    return [
        (finding.message_text(), finding.remedy_text())
        for finding in judge_planned(planned(path), facts, OWNERS, below=STATE if is_ours else None)
    ]


def regular(mode: int, uid: int = 0, gid: int = 0, **more: bool) -> PathFacts:
    return PathFacts(path=Path(), kind=stat.S_IFREG, mode=mode, uid=uid, gid=gid, **more)


def directory(mode: int, uid: int = 990, gid: int = 991) -> PathFacts:
    return PathFacts(path=Path(), kind=stat.S_IFDIR, mode=mode, uid=uid, gid=gid)


def test_what_is_as_planned_is_no_line() -> None:
    assert judged("/etc/ibkr-tools/password", regular(0o600), is_ours=False) == []
    assert judged("/var/lib/ibkr-tools/login", directory(0o700), is_ours=True) == []
    # No secret of a second factor: there need not be one.
    assert judged("/etc/ibkr-tools/totp", PathFacts(path=Path(), kind=None), is_ours=False) == []


@pytest.mark.parametrize(
    ("facts", "remedy"),
    [
        (regular(0o644), "sudo chmod 0600 /etc/ibkr-tools/password"),
        (regular(0o600, 990, 991), "sudo chown -h root:root /etc/ibkr-tools/password"),
        (
            regular(0o640, 0, 991),
            "sudo chown -h root:root /etc/ibkr-tools/password && sudo chmod 0600 /etc/ibkr-tools/password",
        ),
        (
            regular(0o600, has_acl=True),
            "sudo setfacl -b /etc/ibkr-tools/password && sudo chmod 0600 /etc/ibkr-tools/password",
        ),
    ],
)
def test_what_is_not_has_a_command(facts: PathFacts, remedy: str) -> None:
    assert [found[1] for found in judged("/etc/ibkr-tools/password", facts, is_ours=False)] == [remedy]


def test_root_follows_no_path_that_the_units_user_may_write() -> None:
    """Modes there are changed by that user, and of a link the owner itself."""
    ((message, remedy),) = judged("/var/lib/ibkr-tools/login", directory(0o755), is_ours=True)
    assert remedy == "sudo runuser -u ibkr -- chmod 0700 /var/lib/ibkr-tools/login"
    assert message == "/var/lib/ibkr-tools/login is 0755 ibkr:ibkr and should be 0700 ibkr:ibkr"
    ((_, remedy),) = judged("/var/lib/ibkr-tools/login", directory(0o700, 0, 0), is_ours=True)
    assert remedy == "sudo chown -h ibkr:ibkr /var/lib/ibkr-tools/login"


def test_another_users_name_is_not_told() -> None:
    ((message, _),) = judged("/var/lib/ibkr-tools/login", directory(0o700, os.getuid() + 1000), is_ours=True)
    assert "of another user" in message


def test_root_names_no_path_through_what_the_units_user_may_exchange() -> None:
    """A link in the place of `gateway` would lead to another directory of root's that has a `private`."""
    path = "/var/lib/ibkr-tools/gateway/private"
    ((_, remedy),) = judged(path, directory(0o700, 0, 0), is_ours=True)
    assert remedy == "sudo chown -hR ibkr:ibkr /var/lib/ibkr-tools/gateway"
    ((_, remedy),) = judged(path, PathFacts(path=Path(), kind=stat.S_IFLNK), is_ours=True)
    assert remedy is not None
    assert remedy.startswith(f"sudo runuser -u ibkr -- mv -T {path} {path}.away && ")
    closed = PathFacts(path=Path(), kind=stat.S_IFDIR, mode=0o700, uid=990, gid=991, has_acl=True)
    ((_, remedy),) = judged(path, closed, is_ours=True)
    assert remedy == f"sudo runuser -u ibkr -- setfacl -b {path} && sudo runuser -u ibkr -- chmod 0700 {path}"


@pytest.mark.parametrize(
    ("root", "top", "name", "reached"),
    [
        (STATE, None, "login", "-h ibkr:ibkr {}/login"),
        (STATE, None, "login/x/shadow", "-hR ibkr:ibkr {}/login"),
        (STATE / "gateway/private", STATE, "gateway/private/key", "-hR ibkr:ibkr {}/gateway"),
    ],
)
def test_what_another_owns_below_is_reached_from_above(root: Path, top: Path | None, name: str, reached: str) -> None:
    tree = Tree(root=root, user="ibkr", forbidden=0o022, top=top)
    facts = PathFacts(path=STATE / name, kind=stat.S_IFREG, mode=0o600, uid=0)
    (finding,) = judge_tree(tree, [facts], OWNERS, program=Path("/opt"))
    assert finding.remedy_text() == f"sudo chown {reached.format(STATE)}"


@pytest.mark.parametrize("kind", [None, stat.S_IFLNK, stat.S_IFREG])
def test_what_is_missing_or_something_else_is_made_anew(kind: int | None) -> None:
    ((_, remedy),) = judged("/var/lib/ibkr-tools/login", PathFacts(path=Path(), kind=kind), is_ours=True)
    assert remedy is not None
    assert remedy.endswith("sudo systemd-tmpfiles --create /usr/local/lib/tmpfiles.d/ibkr-tools.conf")


def test_everything_below_has_one_line_for_owners_and_one_for_modes(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o666 if name == "a" else 0o600)
    (tmp_path / "link").symlink_to("/etc/passwd")
    uid = os.getuid()
    owners = Owners(users={"ibkr": uid}, groups={})
    tree = Tree(root=tmp_path, user="ibkr", forbidden=0o022)
    found = list(judge_tree(tree, path_checks.look_below(tmp_path), owners, program=Path("/opt")))
    assert [entry.remedy_text() for entry in found] == [f"sudo runuser -u ibkr -- chmod go-w {tmp_path}/a"]
    others = Owners(users={"ibkr": uid + 1}, groups={})
    (owner, _) = judge_tree(tree, path_checks.look_below(tmp_path), others, program=Path("/opt"))
    assert owner.message_text().endswith("and 3 more should belong to ibkr")
    assert tmp_path.name not in str(owner.message_text(is_public=True)).removeprefix(str(tmp_path))


def test_the_place_of_many_is_named_and_not_each() -> None:
    tree = Tree(root=STATE, user="ibkr", forbidden=0o022)
    for folder, reached in (("snapshots/", "snapshots"), ("", "")):
        many = [PathFacts(path=STATE / f"{folder}{n}", kind=stat.S_IFREG, mode=0o600, uid=0) for n in range(50)]
        (finding,) = judge_tree(tree, many, OWNERS, program=Path("/opt"))
        assert finding.remedy_text() == f"sudo chown -hR ibkr:ibkr {STATE / reached}"
