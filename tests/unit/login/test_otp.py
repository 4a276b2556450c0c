"""Codes of a second factor: valid long enough, never the same twice, and never shown."""

import json
import os
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyotp.totp import TOTP

from ibkr_tools import files
from ibkr_tools.config.schema import Config, LoginConfig, SecondFactorConfig
from ibkr_tools.config.secrets import Secret, read_totp_secret
from ibkr_tools.errors import ConfigError, OutputError
from ibkr_tools.login import otp, totp_secret
from ibkr_tools.login.otp import (
    CodeRequest,
    NoCode,
    TotpCodes,
    check_second_factor,
    find_code,
    time_at_ibkr,
)
from ibkr_tools.login.totp_secret import parse_totp

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
QUESTION = CodeRequest(factor="silver", asked_at=1_000_000.0)


def codes(directory: Path, secret: str = SECRET) -> TotpCodes:
    return TotpCodes(Secret(secret), directory)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (SECRET, "287082"),
        ("gezd gnbv gy3t qojq gezd gnbv gy3t qojq\n", "287082"),
        ("GEZDGNBVGY3TQOJQ-GEZDGNBVGY3TQOJQ", "287082"),
        ("GEZD\xa0GNBV\u2013GY3T\tQOJQ\u2003GEZD GNBV GY3T QOJQ\r\n", "287082"),
        (f"otpauth://totp/IBKR:demo?secret={SECRET}&issuer=IBKR", "287082"),
        (f"otpauth://totp/IBKR?secret={SECRET}&digits=8", "94287082"),
        # 80 bits, as older sites hand out.
        ("GEZDGNBVGY3TQOJQ", "263420"),
        ("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGE======", None),
    ],
)
def test_secret_is_understood_as_ibkr_shows_it(text: str, code: str | None) -> None:
    """The code at second 59 is the one of RFC 6238, appendix B."""
    found = parse_totp(Secret(text)).generate_otp(59 // 30)
    assert code is None or found == code


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("287082", "not base32"),
        ("", "not base32"),
        ("ABCDEFGH", "not base32"),
        ("not a secret at all!", "not base32"),
        ("GEZDGNBVGY3TQOJQ1", "not base32"),
        ("otpauth://totp/IBKR?issuer=IBKR", "not base32"),
        (f"otpauth://hotp/IBKR?secret={SECRET}&counter=1", "not of type totp"),
        (f"otpauth://totp/IBKR?secret={SECRET}&period=15", "too fast"),
        ("otpauth://totp/IBKR?secret=!!!!", "not base32"),
        ("287082", "looks like one of the app's codes"),
        (f"\ufeff{SECRET}", "not base32: character 1 of it is a byte order mark"),
        (f"{SECRET[:4]}\u200b{SECRET[4:]}", "character 5 of it is a zero width space"),
        (f"{SECRET}\0", "character 33 of it is a NUL character"),
        (f"{SECRET}\n{SECRET}", "more than one line"),
        (f"{SECRET[:16]}\x1b[0m{SECRET[16:]}", "character 17 of it is an escape character"),
        ("GEZDGNBVGY3TQOJ0", "character 16 of it is none of A to Z and 2 to 7"),
        ("GEZD GNBV GY3T Q0JQ", "character 17 of it is none of A to Z and 2 to 7"),
        ("GEZDGNBVGY3TQOJß", "character 16 of it is none"),
    ],
)
def test_what_is_no_secret_is_said_without_showing_it(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        parse_totp(Secret(text))
    shown = f"{caught.value!r} {caught.value.hint} {caught.value.__cause__!r}"
    assert SECRET not in shown
    assert text == "" or text not in shown


def test_code_comes_only_when_it_is_valid_for_long_enough(tmp_path: Path) -> None:
    """Fewer than ten seconds are waited out; so is the first second of a window."""
    source = codes(tmp_path)
    begin = 30 * 40_000_000
    assert source.wait_s(begin + 5) == 0
    assert source.wait_s(begin + 20) == 0
    assert source.wait_s(begin + 20.5) == pytest.approx(10.5)
    assert source.wait_s(begin + 29) == pytest.approx(2)
    assert source.wait_s(begin) == pytest.approx(1)
    assert source.get_code(begin + 5, QUESTION).reveal() == TOTP(SECRET).generate_otp(40_000_000)


def test_code_is_never_given_twice_even_after_a_restart(tmp_path: Path) -> None:
    begin = 30 * 40_000_000
    first = codes(tmp_path).get_code(begin + 5, QUESTION).reveal()
    again = codes(tmp_path)
    assert again.wait_s(begin + 6) == pytest.approx(25)
    with pytest.raises(NoCode, match="used before"):
        again.get_code(begin + 6, QUESTION)
    assert again.get_code(begin + 31, QUESTION).reveal() != first
    assert (tmp_path / "totp.json").stat().st_mode & 0o777 == 0o600
    assert SECRET not in (tmp_path / "totp.json").read_text()


def test_crash_between_note_and_use_counts_as_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on disk before the code is given stays there, whatever happens next."""

    class Died(BaseException):
        pass

    def die(_self: TOTP, _step: int) -> str:
        raise Died

    begin = 30 * 40_000_000
    source = codes(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(TOTP, "generate_otp", die)
        with pytest.raises(Died):
            source.get_code(begin + 5, QUESTION)
    assert codes(tmp_path).wait_s(begin + 6) > 20


def test_crash_before_the_note_gives_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object, **_more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_atomically", full)
    with pytest.raises(OutputError, match="No space left"):
        codes(tmp_path).get_code(30 * 40_000_000 + 5, QUESTION)


@pytest.mark.parametrize("content", ["", "{", '{"steps": "x"}', '{"steps": [1.5]}', '{"steps": [], "schema": 2}'])
def test_damaged_note_costs_one_window(tmp_path: Path, content: str) -> None:
    """Nobody knows what was used: the present code counts as used, and a new note begins."""
    (tmp_path / "totp.json").write_text(content)
    begin = 30 * 40_000_000
    source = codes(tmp_path)
    assert source.wait_s(begin + 5) == pytest.approx(26)
    source.get_code(begin + 32, QUESTION)
    assert json.loads((tmp_path / "totp.json").read_text())["steps"] == [40_000_000, 40_000_001]


@pytest.mark.parametrize("kind", ["gone", "fifo", "link", "directory of another"])
@pytest.mark.timeout(20)
def test_lost_note_costs_one_window(tmp_path: Path, kind: str) -> None:
    """One that was there is missed; whatever is in its place is not waited for, nor followed."""
    begin = 30 * 40_000_000
    codes(tmp_path).get_code(begin + 1, QUESTION)
    note = tmp_path / "totp.json"
    note.unlink()
    if kind == "fifo":
        os.mkfifo(note)
    elif kind == "link":
        note.symlink_to("/dev/zero")
    elif kind == "directory of another":
        note.mkdir()
        with pytest.raises(OutputError, match="no code is sent without a note"):
            codes(tmp_path).wait_s(begin + 5)
        return
    source = codes(tmp_path)
    assert source.wait_s(begin + 5) == pytest.approx(26)
    source.get_code(begin + 32, QUESTION)


# Each code is on disk before it is given, and disks take their time.
@given(
    jumps=st.lists(
        st.floats(min_value=-400, max_value=400) | st.floats(min_value=-1e7, max_value=1e7), min_size=2, max_size=15
    ),
    period=st.sampled_from([30, 60]),
)
def test_whatever_the_clock_does_codes_are_fresh(jumps: list[float], period: int) -> None:
    """The clock jumps anywhere between two logins: each code is of the present step, unused, and valid for long."""
    with tempfile.TemporaryDirectory() as directory:
        secret = f"otpauth://totp/IBKR?secret={SECRET}&period={period}"
        now, given_steps = 1_700_000_000.0, list[int]()
        for jump in jumps:
            now += jump
            source = codes(Path(directory), secret)
            wait = source.wait_s(now)
            assert 0 <= wait <= (otp.MAX_CLOCK_CORRECTION_STEPS + 2) * period * (len(given_steps) + 1)
            now += wait
            source = codes(Path(directory), secret)
            assert source.wait_s(now) == pytest.approx(0, abs=1e-3)
            now += source.wait_s(now)
            code = source.get_code(now, QUESTION).reveal()
            step = int(now // period)
            assert code == TOTP(SECRET, interval=period).generate_otp(step)
            assert step not in given_steps
            assert (step + 1) * period - now >= totp_secret.MIN_CODE_VALIDITY_S - 1e-3
            given_steps.append(step)


def test_ibkrs_clock_decides_unless_the_two_are_worlds_apart() -> None:
    assert time_at_ibkr(None) == pytest.approx(time.time(), abs=1)
    assert time_at_ibkr(-40.0) == pytest.approx(time.time() - 40, abs=1)
    assert otp.describe_clock_offset(None) == otp.describe_clock_offset(9.0) == ""
    assert otp.describe_clock_offset(40.0) == "this machine's clock is 40 s behind IBKR's"
    assert otp.describe_clock_offset(-40.0) == "this machine's clock is 40 s ahead of IBKR's"
    for offset in (300.0, -86_400.0):
        with pytest.raises(NoCode, match="no code is sent"):
            time_at_ibkr(offset)


@pytest.mark.parametrize(
    ("text", "asked", "code"),
    [
        ("123456\n", "silver", "123456"),
        ("Waiting for the message ...\n123 456\n999999\n", "silver", "123456"),
        ("Your code is 123456\n", "silver", None),
        ("12345678", "gold", "12345678"),
        ("AB12CD", "silver", None),
        ("AB12CD", "temp", "AB12CD"),
        ("ready\nAB1 2CD\n", "bronze", "AB12CD"),
        ("", "silver", None),
        ("\u0661\u0662\u0663\u0664\u0665\u0666", "temp", None),
    ],
)
def test_code_is_the_first_line_that_looks_like_one(text: str, asked: str, code: str | None) -> None:
    assert find_code(text, asked) == code


def test_other_lines_may_have_colours() -> None:
    assert find_code("\x1b[32mWaiting\x1b[0m\r\n123\xa0456\r\n", "silver") == "123456"


def config(totp_file: Path | None = None) -> Config:
    second = SecondFactorConfig(method="totp", totp_file=str(totp_file) if totp_file else None)
    return Config(username="demo-reader", account="U1234567", login=LoginConfig(second_factor=second))


def private(file: Path, text: str) -> Path:
    file.touch(mode=0o600)
    file.write_text(text)
    return file


def test_secret_comes_from_the_credential_first(tmp_path: Path) -> None:
    """Then the user's own file, then what systemd makes the credential of, which a person's login as root reads."""
    config_file = tmp_path / "config.json"
    kept = private(tmp_path / "totp", "KEPTBYROOT\n")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}
    assert read_totp_secret(config_file, config(), environ).reveal() == "KEPTBYROOT"
    own = private(tmp_path / "own", SECRET + "\n")
    assert read_totp_secret(config_file, config(own), environ).reveal() == SECRET
    (tmp_path / "credentials").mkdir()
    # What the unit's SetCredential= leaves when there is no file.
    credential = private(tmp_path / "credentials/ibkr-totp", "\n")
    assert read_totp_secret(config_file, config(own), environ).reveal() == SECRET
    credential.write_text("FROMTHECREDENTIAL\n")
    kept.chmod(0o644)
    found = read_totp_secret(config_file, config(own), environ)
    assert found.reveal() == "FROMTHECREDENTIAL"
    assert "FROM" not in f"{found} {found!r}"


def test_secret_that_is_missing_or_open_to_others(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no authenticator's secret.*/totp"):
        read_totp_secret(tmp_path / "config.json", config(), {})
    for own in (tmp_path / "own", None):
        file = private(own or tmp_path / "totp", SECRET)
        file.chmod(0o640)
        with pytest.raises(ConfigError, match="others can read the authenticator's secret") as caught:
            read_totp_secret(tmp_path / "config.json", config(own), {})
        assert caught.value.hint == f"chmod 600 {file}"
        assert SECRET not in str(caught.value)


def with_method(**changes: object) -> Config:
    second = SecondFactorConfig(**changes)  # type: ignore[arg-type]
    return Config(username="demo-reader", account="U1234567", login=LoginConfig(second_factor=second))


def test_check_at_set_up_reads_what_the_unit_will_get(tmp_path: Path) -> None:
    """An empty file counts as none; no other method needs a secret."""
    config_file = tmp_path / "config.json"
    assert check_second_factor(with_method(), config_file) is None
    assert check_second_factor(with_method(method="push"), config_file) is None
    totp, more = with_method(method="totp"), {"method": "totp", "totp_file": str(tmp_path / "own")}
    with pytest.raises(ConfigError, match="no authenticator's secret"):
        check_second_factor(totp, config_file)
    for content, why in ((b"\n", "no authenticator's secret"), (b"123456", "not base32"), (b"\xff", "cannot be read")):
        private(tmp_path / "totp", "").write_bytes(content)
        with pytest.raises(ConfigError, match=why):
            check_second_factor(totp, config_file)
    private(tmp_path / "own", SECRET)
    assert check_second_factor(with_method(**more), config_file) == "the authenticator's secret is fine"


def test_who_may_not_read_the_secret_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may run the check; that only root can read the file is no mistake."""
    private(tmp_path / "totp", SECRET)
    monkeypatch.setattr(os, "access", lambda *_: False)
    told = check_second_factor(with_method(method="totp"), tmp_path / "config.json")
    assert told == f"only root can check the authenticator's secret in {tmp_path / 'totp'}"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ((), "it is empty"),
        (("no-such-program",), "no-such-program: no program of that name on PATH"),
        (("true",), None),
    ],
)
def test_check_at_set_up_looks_for_the_command(tmp_path: Path, command: tuple[str, ...], why: str | None) -> None:
    config = with_method(method="command", command=command)
    if why is None:
        assert check_second_factor(config, tmp_path / "config.json") is None
        return
    with pytest.raises(ConfigError, match=why):
        check_second_factor(config, tmp_path / "config.json")
