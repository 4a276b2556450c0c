"""Moving the password out of config.json: nothing is lost on the way, nothing else changes, and no link is followed."""

import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools import files, secret_text
from ibkr_tools.config import example
from ibkr_tools.config.password_adoption import MAX_CONFIG_BYTES, adopt_password, find_copies
from ibkr_tools.errors import ConfigError, OutputError
from tests.support.checkout import CHECKOUT
from tests.support.examples import examples

SECRET = "se'cr\"et  \\ü"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    directory = tmp_path / "etc"
    directory.mkdir(mode=0o750)
    return directory / "config.json"


def adopt(config: Path) -> str | None:
    return adopt_password(config, config.with_name("password"))


def document(**more: object) -> str:
    return json.dumps({"username": "reader", "password": SECRET, "account": "U1234567", **more}, indent=2)


def test_it_is_moved_and_said(config: Path) -> None:
    config.write_text(document())
    told = adopt(config)
    kept = config.with_name("password")
    assert told == f"the password was moved from config.json to {kept}, which only its owner can read"
    assert kept.read_text() == SECRET + "\n"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert config.read_text() == '{\n  "username": "reader",\n  "account": "U1234567"\n}'
    assert adopt(config) is None


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ('{"password": "x"}', "{}"),
        ('{"a": 1, "password": "x"}', '{"a": 1}'),
        ('{"password": "x", "a": 1}', '{"a": 1}'),
        (
            '{"a": 1.50,\r\n\t"password" : "x" ,\r\n"b": {"c": [1e5, "}"]}}\r\n',
            '{"a": 1.50,\r\n\t"b": {"c": [1e5, "}"]}}\r\n',
        ),
        ('{"a": 1, "a": 2, "password": "x"}', '{"a": 1, "a": 2}'),
        ('{"password": "x", "a": 1, "password": "x"}', '{"a": 1}'),
        ('{"p\\u0061ssword": "x", "a": 1}', '{"a": 1}'),
        ('\ufeff{"password": "x", "a": 1}', '{"a": 1}'),
        ('{"a": %s, "password": "x"}' % ("9" * 5000), '{"a": %s}' % ("9" * 5000)),
    ],
)
def test_everything_else_stays_byte_by_byte(config: Path, text: str, rest: str) -> None:
    """Line ends, spaces, numbers, doubled keys; only a byte order mark, which JSON forbids, goes."""
    config.write_bytes(text.encode())
    assert adopt(config) is not None
    assert config.read_bytes().decode() == rest
    assert config.with_name("password").read_text() == "x\n"


def _is_typed(text: str) -> bool:
    try:
        secret_text.require_typable(text)
    except secret_text.UntypableText:
        return False
    return True


@examples(0.5)
@given(
    st.dictionaries(st.text(max_size=8), st.recursive(st.none() | st.integers() | st.text(), st.lists), max_size=5),
    st.text(st.characters(categories=["L", "M", "N", "P", "S"]) | st.just(" "), min_size=1).filter(_is_typed),
    st.integers(0, 5),
    st.sampled_from([None, 2, "\t"]),
)
def test_any_document_keeps_its_other_keys(
    others: dict[str, object], secret: str, place: int, indent: int | str | None
) -> None:
    others = {name: value for name, value in others.items() if name.casefold() not in {"password", "passwd", "pwd"}}
    if secret == example.EXAMPLE_PASSWORD:
        return
    items = list(others.items())
    items.insert(place, ("password", secret))
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config.json")
        config.write_text(json.dumps(dict(items), indent=indent))
        assert adopt(config) is not None
        assert json.loads(config.read_text()) == others
        assert config.with_name("password").read_bytes().decode() == secret + "\n"


def test_owner_and_mode_stay(config: Path) -> None:
    """Whoever's file it was, and whatever the umask says."""
    config.write_text(document())
    config.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(config, 12345, 23456)
    before, former = config.stat(), os.umask(0o077)
    try:
        adopt(config)
    finally:
        os.umask(former)
    after = config.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    kept = config.with_name("password").stat()
    assert (kept.st_uid, kept.st_gid) == (os.geteuid(), os.getegid())


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        '{"password": ""}',
        '{"password": null}',
        json.dumps({"password": example.EXAMPLE_PASSWORD}),
        "{",
        "[]",
        '{"a": tru',
    ],
)
def test_nothing_to_move(config: Path, text: str) -> None:
    config.write_text(text)
    assert adopt(config) is None
    assert config.read_text() == text
    assert not config.with_name("password").exists()


def test_the_example_is_the_example() -> None:
    assert json.loads((CHECKOUT / "config.example.json").read_text())["password"] == example.EXAMPLE_PASSWORD


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"password": "%s", }', "not a JSON object"),
        ('{"password": "%s"', "not a JSON object"),
        ("{'password': '%s'}", "not a JSON object"),
        ('password = "%s"', "not a JSON object"),
        ('[{"password": "%s"}]', "not a JSON object"),
        ('{"password": "%s", "password": "another"}', "2 times"),
        ('{"password": ["%s"]}', "not a text"),
        ('{"password": 12345678}', "not a text"),
        ('{"password": "%s\\ud800"}', "half a character"),
        ('{"login": {"password": "%s"}}', "'login.password'"),
        ('{"Password": "%s"}', "'Password'"),
    ],
)
def test_what_cannot_be_moved_is_said(config: Path, text: str, words: str) -> None:
    """In one line, without the password; the file stays as it is."""
    text = text.replace("%s", "hunter22")
    config.write_text(text)
    with pytest.raises(ConfigError) as caught:
        adopt(config)
    assert words in str(caught.value)
    assert str(config) in str(caught.value)
    assert "hunter22" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
    assert config.read_text() == text
    assert not config.with_name("password").exists()


def test_utf_16_is_seen(config: Path) -> None:
    config.write_bytes(document().encode("utf-16"))
    with pytest.raises(ConfigError, match="not a JSON object"):
        adopt(config)


def test_a_linked_configuration_is_refused(config: Path, tmp_path: Path) -> None:
    """Only if there is a password to move."""
    target = tmp_path / "elsewhere.json"
    target.write_text(document())
    config.symlink_to(target)
    with pytest.raises(ConfigError, match="a link"):
        adopt(config)
    assert target.read_text() == document()
    target.write_text("{}")
    assert adopt(config) is None


@pytest.mark.parametrize("kind", ["link", "dangling", "fifo", "directory"])
def test_a_password_file_that_is_none_is_refused(config: Path, tmp_path: Path, kind: str) -> None:
    """A link would have root write a password into somebody's file, or somebody's file lose what is in it."""
    kept, target = config.with_name("password"), tmp_path / "shadow"
    if kind == "link":
        target.write_text("root:*")
    match kind:
        case "link" | "dangling":
            kept.symlink_to(target)
        case "fifo":
            os.mkfifo(kept)
        case _:
            kept.mkdir()
    config.write_text(document())
    with pytest.raises(ConfigError, match=r"a link|not a file"):
        adopt(config)
    assert config.read_text() == document()
    assert target.exists() == (kind == "link")
    if kind == "link":
        assert target.read_text() == "root:*"


@pytest.mark.parametrize("name", ["config.json", "password"])
def test_devices_and_endless_files_are_not_read(config: Path, name: str) -> None:
    config.write_text(document())
    path = config.with_name(name)
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        file.truncate(MAX_CONFIG_BYTES + 1)
    with pytest.raises(ConfigError, match="larger than"):
        adopt(config)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ConfigError, match="not a file"):
        adopt(config)


def test_a_directory_of_others_is_refused(config: Path) -> None:
    config.write_text(document())
    config.parent.chmod(0o770)
    with pytest.raises(ConfigError, match="others may write"):
        adopt(config)
    assert config.read_text() == document()


def test_the_newer_password_counts(config: Path) -> None:
    """Correcting the password means typing the new one into config.json; that something else was there is said."""
    kept = config.with_name("password")
    for former, said in (("old-one\n", True), (f"{SECRET}\n", False), ("\n", False), (f"{SECRET}", False)):
        kept.write_text(former)
        config.write_text(document())
        told = adopt(config)
        assert told is not None
        assert ("replaces" in told) is said
        assert kept.read_text() == SECRET + "\n"


def test_a_full_disk_loses_nothing(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration loses the password only when the other file has it."""
    config.write_text(document())

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28), str(config.parent))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        adopt(config)
    assert config.read_text() == document()
    assert not config.with_name("password").exists()
    assert [path.name for path in config.parent.iterdir()] == ["config.json"]


def test_the_password_is_on_disk_before_the_configuration_loses_it(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text(document())
    seen: list[bool] = []

    def sync(directory: Path) -> None:
        seen.append("password" in config.read_text() and (directory / "password").read_text() == SECRET + "\n")

    monkeypatch.setattr(files, "sync_directory", sync)
    adopt(config)
    assert seen == [True, False]


@pytest.mark.parametrize(
    "name",
    ["config.json~", ".config.json.swp", "config.json.bak", "config.json.orig", "config.json.save", "#config.json#",
     "config.json.dpkg-old", "notes.txt", "old/config.json"],
)  # fmt: skip
def test_copies_are_found(config: Path, name: str) -> None:
    copy = config.parent / name
    copy.parent.mkdir(exist_ok=True)
    copy.write_bytes(b"b0VIM 9.0\0\0\x10" + document().encode())
    config.write_text(document())
    config.with_name("password").write_text(SECRET + "\n")
    assert find_copies(config.parent, config.with_name("password")) == [copy]


def test_a_copy_of_the_password_file_is_found(config: Path) -> None:
    kept, copy = config.with_name("password"), config.with_name("password~")
    for path in (kept, copy):
        path.write_text("hunter22\n")
    assert find_copies(config.parent, kept, config.with_name("totp")) == [copy]


def test_what_is_no_copy_is_not_named(config: Path, tmp_path: Path) -> None:
    """Configurations without one, the example, links, pipes, huge files."""
    directory = config.parent
    config.write_text(document())
    (directory / "password").write_text("")
    (directory / "config.json~").write_text('{"login": {"password_file": "/x"}, "password": null}')
    (directory / "example.json").write_text(json.dumps({"password": example.EXAMPLE_PASSWORD}))
    (directory / "notify.sh").write_text("#!/bin/sh\nexec mail")
    os.mkfifo(directory / "pipe")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text(document())
    (directory / "link").symlink_to(outside / "secret")
    (directory / "linked").symlink_to(outside)
    assert find_copies(directory, directory / "password") == []
