"""Secrets that nobody typed: named with their place, never shown, on every way that a secret comes in."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools import secret_text
from ibkr_tools.config import password_adoption
from ibkr_tools.config.loader import load_config
from ibkr_tools.config.secrets import SecretSource, check_passwords, read_password
from ibkr_tools.errors import ConfigError
from ibkr_tools.login.login_log import LoginLog
from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.secret_text import UntypableText, decode, require_typable
from ibkr_tools.status import utc_now
from tests.support.installation import Installation
from tests.support.logins import Page

STRANGERS = {
    "\0": "a NUL character (U+0000)",
    "\t": "a tab (U+0009)",
    "\n": "a line end (U+000A)",
    "\r": "a carriage return (U+000D)",
    "\x07": "a control character (U+0007)",
    "\x1b": "an escape character, such as terminals get for colours (U+001B)",
    "\x7f": "a delete character (U+007F)",
    "\x85": "a control character (U+0085)",
    "\x9b": "a control character (U+009B)",
    "\xa0": "a no-break space (U+00A0)",
    "\xad": "a soft hyphen (U+00AD)",
    "\u061c": "an arabic letter mark (U+061C)",
    "\u180e": "a mongolian vowel separator (U+180E)",
    "\u2003": "an em space (U+2003)",
    "\u200b": "a zero width space (U+200B)",
    "\u200c": "a zero width non-joiner (U+200C)",
    "\u200d": "a zero width joiner (U+200D)",
    "\u200e": "a left-to-right mark (U+200E)",
    "\u2028": "a line separator (U+2028)",
    "\u202e": "a right-to-left override (U+202E)",
    "\u2060": "a word joiner (U+2060)",
    "\u2066": "a left-to-right isolate (U+2066)",
    "\u3000": "an ideographic space (U+3000)",
    "\u3164": "a hangul filler (U+3164)",
    "\ufeff": "a byte order mark (U+FEFF)",
    "\ufffd": "a replacement character, which stands for bytes that were no text (U+FFFD)",
    "\ufffe": "a control character (U+FFFE)",
    "\U000e0041": "a tag latin capital letter a (U+E0041)",
}
TYPED = ["simple", "$HOME `id` !!", "Grüße 密码 🔑", " a ", "a  b", "#x", "e\u0301", "\u00e9", "❤\ufe0f", "ÅÅ", "ﬁ"]


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize(("before", "after"), [("", "hunter2"), ("hun", "ter2"), ("hunter2", "")])
def test_what_nobody_types_is_named_with_its_place(stranger: str, before: str, after: str) -> None:
    with pytest.raises(UntypableText) as caught:
        require_typable(before + stranger + after)
    said = str(caught.value)
    assert STRANGERS[stranger] in said
    assert f"character {len(before) + 1} of it" in said
    assert "hun" not in said.replace("hangul", "")


@pytest.mark.parametrize("text", TYPED)
def test_what_can_be_typed_is_taken(text: str) -> None:
    """Unusual letters too, and in whichever way they are composed."""
    require_typable(text)
    assert decode(text.encode()) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a\nb", "more than one line: a line end (U+000A) is character 2 of it"),
        ("a\r\nb", "more than one line: a carriage return (U+000D) is character 2 of it"),
        ("a\r", "character 2 of it is a carriage return"),
        ("a\ud800", "character 2 of it is half a character (U+D800)"),
        ("\x00\x00a", "character 1 of it is a NUL character (U+0000), and 1 more of the kind"),
        (" ", "nothing in it but blanks"),
        ("\xa0\t", "nothing in it but blanks"),
    ],
)
def test_lines_halves_and_blanks_are_told(text: str, why: str) -> None:
    with pytest.raises(UntypableText) as caught:
        require_typable(text)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("hunter2".encode("utf-16"), "UTF-16"),
        ("hunter2".encode("utf-16-le"), "UTF-16"),
        ("hunter2".encode("utf-16-be"), "UTF-16"),
        (b"\xfe\xff" + "hunter2".encode("utf-16-be"), "UTF-16"),
        ("hunter2".encode("utf-32"), "UTF-32"),
        ("Grüße".encode("latin-1"), "byte 3 of it is none"),
        (b"\x80hunter2", "byte 1 of it is none"),
        (b"hunter2\xc3", "byte 8 of it is none"),
        (b"\xed\xa0\x80", "byte 1 of it is none"),
    ],
)
def test_another_encoding_is_told(data: bytes, why: str) -> None:
    with pytest.raises(UntypableText, match=why) as caught:
        decode(data)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_one_line_end_is_dropped(end: str) -> None:
    assert decode(f"hunter2{end}".encode()) == "hunter2"
    assert decode(f"hunter2\n{end}".encode()) == ("hunter2\n" if end else "hunter2")


@given(st.text(max_size=20))
def test_a_text_is_taken_or_its_first_stranger_is_named(text: str) -> None:
    strange = {"Cc", "Cf", "Zl", "Zp"}
    try:
        require_typable(text)
    except UntypableText as error:
        letters = [letter for letter in text if f"(U+{ord(letter):04X})" in str(error)]
        assert letters or not text.strip()
        assert not any(letter.isalnum() and letter not in secret_text._FILLERS for letter in letters)
    else:
        assert not any(unicodedata.category(letter) in strange for letter in text)
        assert all(letter == " " or not letter.isspace() for letter in text)


@given(st.binary(max_size=20))
def test_any_bytes_are_a_text_or_told(data: bytes) -> None:
    try:
        text = decode(data)
    except UntypableText:
        return
    assert data.decode() in (text, f"{text}\n", f"{text}\r\n")


# The ways in.


def put(tmp_path: Path, way: str, secret: bytes) -> tuple[Path, Any, dict[str, str]]:
    """Puts a password where one of the ways looks for it; returns configuration, its file and the environment."""
    document: dict[str, Any] = {"username": "reader", "account": "U1234567"}
    environ: dict[str, str] = {}
    path = tmp_path / "config.json"
    names = {"credential": "ibkr-password", "password_file": "own", "kept": "password"}
    if way == "credential":
        environ["CREDENTIALS_DIRECTORY"] = str(tmp_path)
    if way == "password_file":
        document["login"] = {"password_file": str(tmp_path / "own")}
    if way == "key":
        document["password"] = secret.decode()
    else:
        (tmp_path / names[way]).touch(mode=0o600)
        (tmp_path / names[way]).write_bytes(secret)
    path.write_text(json.dumps(document))
    path.chmod(0o600)
    return path, load_config(path), environ


WAYS = ["credential", "password_file", "kept", "key"]
NAMED = {"credential": "ibkr-password", "password_file": "login.password_file", "kept": "password", "key": '"password"'}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stranger", ["\ufeff", "\0", "\u200b", "\n", "\x1b[0m", "\t", "\xa0"])
def test_every_way_refuses_what_nobody_types(tmp_path: Path, way: str, stranger: str) -> None:
    """The place is named, and so is the character; never the password."""
    path, config, environ = put(tmp_path, way, f"hun{stranger}ter2".encode())
    with pytest.raises(ConfigError, match=r"not what a person typed: .*character 4") as caught:
        read_password(path, config, environ)
    shown = f"{caught.value} {caught.value.hint} {caught.value.__cause__!r}"
    assert NAMED[way] in shown
    assert "hun" not in shown
    assert caught.value.exit_code == 78


@pytest.mark.parametrize("way", WAYS[1:])
def test_check_finds_it_wherever_it_is(tmp_path: Path, way: str) -> None:
    """Also behind another place that has a good one: a login of systemd's looks in another order."""
    path, config, _ = put(tmp_path, way, b"hunter2\xe2\x80\x8b")
    for other in ("password",) if way == "password_file" else ():
        (tmp_path / other).touch(mode=0o600)
        (tmp_path / other).write_text("good")
    wrong, odd = check_passwords(path, config)
    assert ["character 8 of it is a zero width space" in error.message for error in wrong] == [True]
    assert odd == []


@pytest.mark.parametrize("way", WAYS[1:])
@pytest.mark.parametrize(
    ("secret", "remark"), [(" hunter2", "begins"), ("hunter2 ", "ends"), (" hunter2 ", "begins and ends")]
)
def test_blanks_around_a_password_are_kept_and_remarked(tmp_path: Path, way: str, secret: str, remark: str) -> None:
    path, config, _ = put(tmp_path, way, secret.encode())
    wrong, (odd,) = check_passwords(path, config)
    assert not wrong
    assert f"the password {remark} with a blank" in odd
    assert "hunter2" not in odd
    assert read_password(path, config, {}).reveal() == secret


def test_check_of_nothing_says_nothing(tmp_path: Path) -> None:
    path, config, _ = put(tmp_path, "kept", b"")
    assert check_passwords(path, config) == ([], [])


@pytest.mark.parametrize("stranger", [*STRANGERS, "\ud800"])
def test_a_password_that_nobody_typed_is_not_moved(tmp_path: Path, stranger: str) -> None:
    path, kept = tmp_path / "config.json", tmp_path / "password"
    path.write_text(json.dumps({"password": f"hun{stranger}ter2"}))
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r'"password" .*cannot be moved') as caught:
        password_adoption.adopt_password(path, kept)
    assert "ter2" not in f"{caught.value} {caught.value.hint}"
    assert "character 4 of it" in caught.value.message
    assert path.read_bytes() == before
    assert not kept.exists()


def test_what_root_reads_early_is_refused_when_it_is_asked_for(tmp_path: Path) -> None:
    path, config, _ = put(tmp_path, "kept", "\ufeffhunter2".encode())
    secrets = SecretSource(path, config)
    secrets.read_now()
    with pytest.raises(ConfigError, match="byte order mark"):
        secrets.password()


# The login.


def private(path: Path, data: bytes) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(data)
    return path


GOOD = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


@pytest.mark.parametrize("unattended", [False, True])
@pytest.mark.parametrize(
    ("password", "second", "why"),
    [
        ("\ufeffhunter2", {}, "byte order mark"),
        ("hunter2\0", {}, "NUL"),
        ("hunter2", {"method": "totp", "totp": "\ufeff" + GOOD}, "byte order mark"),
        ("hunter2", {"method": "totp", "totp": GOOD[:-1] + "0"}, "none of A to Z"),
        ("hunter2", {"method": "totp", "totp": ""}, "no authenticator's secret"),
        ("hunter2", {"method": "command", "command": ["/no/such"]}, "/no/such: not there"),
        ("hunter2", {"method": "command", "command": ["env", "x" * 60_000]}, "49152 are the most"),
        ("hunter2", {"method": "command", "command": []}, "it is empty"),
    ],
)
def test_login_refuses_before_it_begins(
    place: Installation, unattended: bool, password: str, second: dict[str, Any], why: str
) -> None:
    """78; no page is opened, nothing is in the login log, and a correct secret afterwards is submitted at once."""
    folder = place.directories.configuration
    private(folder / "password", password.encode())
    factor = {key: value for key, value in second.items() if key != "totp"}
    private(folder / "totp", str(second.get("totp", GOOD)).encode())
    place.configure(1025, login={"second_factor": factor})
    page = Page(Outcome.SUCCEEDED)

    def log_in() -> None:
        page.log_in(load_config(place.directories.config_file), place.directories, unattended=unattended)

    with pytest.raises(ConfigError, match=why) as caught:
        log_in()
    assert caught.value.exit_code == 78
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"
    assert not page.opened
    assert not LoginLog(place.directories.login).attempts(utc_now())
    section = place.status.read().login
    assert section is not None
    assert section.state == "broken"
    private(folder / "password", b"hunter2")
    private(folder / "totp", GOOD.encode())
    place.configure(1025, login={"second_factor": {"method": "totp"} if factor else {}})
    log_in()
    assert page.submitted == 1
