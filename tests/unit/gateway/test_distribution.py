"""IBKR's distribution is found and installed; a zip that is not it is refused, and nothing is lost."""

import io
import os
import shutil
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from ibkr_tools.errors import DistributionError
from ibkr_tools.gateway import distribution, distribution_install
from tests.support import made_distribution
from tests.support.made_distribution import JAR, Names, jar, parts, zipped


@pytest.fixture(autouse=True)
def _accepted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Each test has its own list of accepted builds, apart from where it installs."""
    ACCEPTED.append(tmp_path_factory.mktemp("accepted") / "accepted.json")
    yield
    ACCEPTED.clear()


ACCEPTED: list[Path] = []


def find(directory: Path) -> distribution.Distribution:
    return distribution.find(directory, ACCEPTED[0])


def install(source: Path, into: Path) -> distribution.Distribution:
    return made_distribution.install(source, into, ACCEPTED[0])


def unpacked(folder: Path, names: Names) -> Path:
    for name, data in names.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def into(tmp_path: Path) -> Path:
    """A place with an older distribution in it, which every refusal must leave alone."""
    return install(zipped(tmp_path / "old.zip", parts(b"old")), tmp_path / "state/gateway/clientportal.gw").root


def marker(root: Path) -> bytes:
    return (find(root).root / "root/conf.yaml").read_bytes()


def leftovers(into: Path) -> list[str]:
    return [path.name for path in into.parent.iterdir() if path.name not in (into.name, f".{into.name}.lock")]


@pytest.mark.parametrize("prefix", ["", "clientportal.gw/"])
def test_installs_a_zip(tmp_path: Path, into: Path, prefix: str) -> None:
    """Content at the top or inside one folder; the old one is replaced, nothing else stays."""
    found = install(zipped(tmp_path / "new.zip", parts(b"new"), prefix), into)
    assert found.root == into
    assert found.jar == into / JAR
    assert found.build == "2031-05-06"
    assert len(found.sha256) == 64
    assert marker(into) == b"new"
    assert leftovers(into) == []
    assert stat.S_IMODE((into / JAR).stat().st_mode) == 0o644


def test_installs_folders(tmp_path: Path, into: Path) -> None:
    """A folder with the content, a folder around one, a folder with the zip in it; only known parts are copied."""
    one = unpacked(tmp_path / "a/clientportal.gw", {**parts(b"a"), "notes.txt": b"mine"})
    install(one, into)
    assert marker(into) == b"a"
    assert not (into / "notes.txt").exists()
    unpacked(tmp_path / "b/clientportal.gw", parts(b"b"))
    (tmp_path / "b/README.md").write_text("x")
    install(tmp_path / "b", into)
    assert marker(into) == b"b"
    (tmp_path / "c").mkdir()
    zipped(tmp_path / "c/clientportal.gw.zip", parts(b"c"))
    install(tmp_path / "c", into)
    assert marker(into) == b"c"
    assert install(into, into).root == into
    assert marker(into) == b"c"


def test_a_build_without_manifest_is_dated_by_its_newest_entry(tmp_path: Path) -> None:
    names = parts() | {JAR: jar(built="")}
    with zipfile.ZipFile(io.BytesIO(names[JAR])) as archive:
        newest = max(info.date_time for info in archive.infolist())
    folder = unpacked(tmp_path / "d", names)
    found = install(folder, folder)
    assert found.build == "{:04}-{:02}-{:02}".format(*newest)


def symbolic_link(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts().items():
            archive.writestr(name, data)
        link = zipfile.ZipInfo("root/link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    return path


def named(name: str) -> Callable[[Path], Path]:
    return lambda path: zipped(path, {**parts(), name: b"x"})


def same_name_twice(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts().items():
            archive.writestr(name, data)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr(JAR, b"other")
    return path


def truncated(path: Path) -> Path:
    data = zipped(path, parts()).read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def damaged(path: Path) -> Path:
    names = parts() | {"root/conf.yaml": os.urandom(4000)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in names.items():
            archive.writestr(name, content)
    data = bytearray(path.read_bytes())
    data[data.index(names["root/conf.yaml"]) + 100] ^= 0xFF
    path.write_bytes(data)
    return path


def plain_text(path: Path) -> Path:
    path.write_text("<html>not found</html>")
    return path


def lying_directory(path: Path) -> Path:
    data = bytearray(zipped(path, parts()).read_bytes())
    end = data.rindex(b"PK\x05\x06")
    struct.pack_into("<I", data, end + 12, 0xF0000000)
    path.write_bytes(data)
    return path


def encrypted(path: Path) -> Path:
    data = bytearray(zipped(path, parts()).read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    path.write_bytes(data)
    return path


def nul_in_name(path: Path) -> Path:
    data = zipped(path, {**parts(), "root/aXb": b"x"}).read_bytes()
    path.write_bytes(data.replace(b"root/aXb", b"root/a\0b"))
    return path


def broken_jar(path: Path) -> Path:
    return zipped(path, parts() | {"build/lib/runtime/vertx.jar": b"not a jar"})


def other_jar(path: Path) -> Path:
    return zipped(path, parts() | {JAR: jar(name="com/example/Other.class")})


def without(prefix: str) -> Callable[[Path], Path]:
    return lambda path: zipped(path, {name: data for name, data in parts().items() if not name.startswith(prefix)})


ATTACKS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "parent folder": (named("../evil"), "outside"),
    "parent folder within": (named("root/../../evil"), "outside"),
    "absolute": (named("/etc/evil"), "outside"),
    "backslash": (named("..\\evil"), "outside"),
    "drive": (named("C:/evil"), "outside"),
    "nul": (nul_in_name, "outside"),
    "link": (symbolic_link, "link"),
    "twice": (same_name_twice, "twice"),
    "file and folder": (named("root/conf.yaml/x"), "twice, or as file and folder"),
    "truncated": (truncated, "not a whole zip"),
    "damaged": (damaged, "not a whole zip"),
    "text": (plain_text, "not a whole zip"),
    "huge directory": (lying_directory, "absurdly large"),
    "encrypted": (encrypted, "encrypted"),
    "broken jar": (broken_jar, "damaged"),
    "other program": (other_jar, "not IBKR's gateway"),
    "no main jar": (without("dist/"), "dist/"),
    "no libraries": (without("build/"), "build/lib/runtime"),
    "no root": (without("root/"), "root/"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_refuses(tmp_path: Path, into: Path, name: str) -> None:
    """Each kind of bad zip is named in one line; what was installed stays, and nothing appears outside."""
    make, message = ATTACKS[name]
    before = sorted(path for path in tmp_path.rglob("*") if path.name != "bad.zip")
    with pytest.raises(DistributionError, match=message):
        install(make(tmp_path / "bad.zip"), into)
    assert marker(into) == b"old"
    assert sorted(path for path in tmp_path.rglob("*") if path.name != "bad.zip") == before
    assert not Path("/etc/evil").exists()


def test_refuses_a_bomb_while_it_explodes(tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written counts, not what the header announces."""
    bomb = zipped(tmp_path / "bomb.zip", {**parts(), "root/zeros": bytes(3_000_000)})
    assert bomb.stat().st_size < 20_000
    data = bomb.read_bytes()
    bomb.write_bytes(data.replace(struct.pack("<I", 3_000_000), struct.pack("<I", 3_000)))
    monkeypatch.setattr(distribution_install, "MAX_BYTES", 1_000_000)
    with pytest.raises(DistributionError, match=r"MB unpacked|not a whole zip"):
        install(bomb, into)
    honest = zipped(tmp_path / "honest.zip", {**parts(), "root/zeros": bytes(3_000_000)})
    with pytest.raises(DistributionError, match="1 MB unpacked"):
        install(honest, into)
    assert marker(into) == b"old"
    assert leftovers(into) == []


def test_refuses_too_many_entries(tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are written one by one, and the one too many is not; IBKR's own has a tenth of what is allowed."""
    monkeypatch.setattr(distribution_install, "MAX_ENTRIES", 5)
    many = {f"root/{number}": b"" for number in range(distribution_install.MAX_ENTRIES)}
    with pytest.raises(DistributionError, match="more than 5 entries"):
        install(zipped(tmp_path / "many.zip", {**parts(), **many}), into)
    assert marker(into) == b"old"


def test_refuses_links_in_folders(tmp_path: Path, into: Path) -> None:
    folder = unpacked(tmp_path / "f", parts(b"new"))
    (folder / "root/link").symlink_to("/etc/passwd")
    with pytest.raises(DistributionError, match="a link"):
        install(folder, into)
    assert marker(into) == b"old"


def test_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DistributionError, match="no gateway of IBKR there"):
        find(tmp_path / "none")
    with pytest.raises(DistributionError, match=r"lacks dist/.*build/lib/runtime.*root/"):
        find(tmp_path)
    with pytest.raises(DistributionError, match="not there"):
        install(tmp_path / "none.zip", tmp_path / "into")
    with pytest.raises(DistributionError, match="neither"):
        install(tmp_path, tmp_path / "into")


def test_says_what_it_may_not_look_at(tmp_path: Path, into: Path) -> None:
    """The kernel's refusal is told in one line; a name that is too long is one that root meets as well."""
    hidden = tmp_path / ("x" * 300)
    with pytest.raises(DistributionError, match="File name too long"):
        find(hidden)
    for source in (hidden, hidden / "gateway.zip"):
        with pytest.raises(DistributionError, match="File name too long"):
            install(source, into)


def without_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has folders swapped as on a file system, or with a C library, that cannot do so in one step."""
    monkeypatch.setattr(distribution_install, "_libc", SimpleNamespace())


def build(tmp_path: Path, day: str) -> Path:
    """Returns a zip of another build; its mark is the day."""
    return zipped(tmp_path / f"{day}.zip", parts(day.encode()) | {JAR: jar(built=day)})


@pytest.fixture(params=["in one step", "in three"])
def swapping(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways in which folders are swapped."""
    way: str = request.param
    if way == "in three":
        without_exchange(monkeypatch)
    return way


@pytest.mark.usefixtures("swapping")
def test_an_update_can_be_taken_back(tmp_path: Path, into: Path) -> None:
    """And taken back again: the two builds change places."""
    install(build(tmp_path, "2031-01-01"), into)
    install(build(tmp_path, "2031-02-02"), into)
    for day in ("2031-01-01", "2031-02-02", "2031-01-01"):
        assert distribution_install.rollback(into, ACCEPTED[0]).build == day
        assert marker(into) == day.encode()
    before = distribution.find_previous(into, ACCEPTED[0])
    assert before is not None
    assert before.build == "2031-02-02"
    assert leftovers(into) == [f".{into.name}.old"]


def test_the_same_build_again_replaces_no_earlier_one(tmp_path: Path, into: Path) -> None:
    """Each upgrade of ibkr-tools installs the gateway that is there once more."""
    for day in ("2031-01-01", "2031-02-02", "2031-02-02"):
        install(build(tmp_path, day), into)
    assert distribution_install.rollback(into, ACCEPTED[0]).build == "2031-01-01"


def test_a_build_that_may_not_run_replaces_no_earlier_one(tmp_path: Path, into: Path) -> None:
    for day in ("2031-01-01", "2031-02-02"):
        install(build(tmp_path, day), into)
    (into / "dist/extra.jar").write_bytes(b"changed")
    install(build(tmp_path, "2031-03-03"), into)
    assert distribution_install.rollback(into, ACCEPTED[0]).build == "2031-01-01"


@pytest.mark.parametrize("trouble", ["nothing kept", "changed", "damaged", "cut short"])
def test_what_cannot_be_gone_back_to_changes_nothing(tmp_path: Path, into: Path, trouble: str) -> None:
    if trouble != "nothing kept":
        for day in ("2031-01-01", "2031-02-02"):
            install(build(tmp_path, day), into)
    old = into.with_name(f".{into.name}.old")
    match trouble:
        case "changed":
            (old / "build/lib/runtime/more.jar").write_bytes(b"x")
        case "damaged":
            (old / JAR).write_bytes(b"no zip")
        case "cut short":
            shutil.rmtree(old / "build")
    mark = marker(into)
    with pytest.raises(DistributionError):
        distribution_install.rollback(into, ACCEPTED[0])
    assert marker(into) == mark


def test_a_candidate_is_described_and_not_installed(tmp_path: Path, into: Path) -> None:
    source = build(tmp_path, "2031-01-01")
    candidate = distribution_install.inspect(source, ACCEPTED[0])
    assert (candidate.build, candidate.trust) == ("2031-01-01", "")
    assert marker(into) == b"old"
    installed = install(source, into)
    again = distribution_install.inspect(source, ACCEPTED[0])
    assert (again.sha256, again.trust) == (installed.sha256, "accepted")
    (tmp_path / "x.zip").write_bytes(b"PK")
    with pytest.raises(DistributionError, match="not a whole zip"):
        distribution_install.inspect(tmp_path / "x.zip", ACCEPTED[0])


def test_a_crash_between_the_renames_leaves_the_old_one(
    tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`find` sees the previous distribution, and the next installation cleans up.

    Where the file system swaps folders in one step there is no such moment.
    """
    without_exchange(monkeypatch)
    real = Path.rename

    class PowerCut(BaseException):
        pass

    def rename(self: Path, target: Path) -> Path:
        if target == into:
            raise PowerCut
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        patch.setattr(shutil, "rmtree", lambda *_args, **_kwargs: None)
        with pytest.raises(PowerCut):
            install(zipped(tmp_path / "new.zip", parts(b"new")), into)
    assert not into.exists()
    assert marker(into) == b"old"
    install(zipped(tmp_path / "new.zip", parts(b"new")), into)
    assert marker(into) == b"new"
    assert leftovers(into) == [f".{into.name}.old"]


def test_an_installation_that_fails_to_swap_puts_the_old_one_back(
    tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_exchange(monkeypatch)
    real = Path.rename
    failures = iter([True])

    def rename(self: Path, target: Path) -> Path:
        if target == into and next(failures, False):
            raise OSError(28, "No space left on device", str(target))
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(DistributionError, match="No space left"):
        install(zipped(tmp_path / "new.zip", parts(b"new")), into)
    assert into.is_dir()
    assert marker(into) == b"old"
    assert leftovers(into) == []
