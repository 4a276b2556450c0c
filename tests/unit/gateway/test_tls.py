"""The gateway's own certificate: made once, renewed in time, accepted by strict clients, the probe tied to it."""

import base64
import hashlib
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    pkcs12,
)

from ibkr_tools.errors import OutputError
from ibkr_tools.gateway import tls

NAMES = (tls.KEYSTORE_FILE, tls.KEYSTORE_PASSWORD_FILE, tls.CERTIFICATE_FILE, tls.SPKI_FILE)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("state") / "gateway"
    make(folder)
    return folder


def make(folder: Path, now: datetime | None = None) -> None:
    tls.make_material(folder / "tls", folder / "private", now=now)


def is_current(folder: Path, now: datetime | None = None) -> bool:
    return tls.is_current(folder / "tls", folder / "private", now)


def path_of(folder: Path, name: str) -> Path:
    return folder / ("private" if name in {tls.KEYSTORE_FILE, tls.KEYSTORE_PASSWORD_FILE} else "tls") / name


def read(folder: Path) -> dict[str, bytes]:
    return {name: path_of(folder, name).read_bytes() for name in NAMES}


def test_files_and_modes(material: Path) -> None:
    """Nobody but the owner can even look where the key is; what clients need is readable, and nothing else is there."""
    modes = {name: stat.S_IMODE(path_of(material, name).stat().st_mode) for name in NAMES}
    folders = {path.name: stat.S_IMODE(path.stat().st_mode) for path in material.iterdir()}
    assert folders == {"private": 0o700, "tls": 0o755}
    assert {path.name for path in (material / "tls").iterdir()} == {tls.CERTIFICATE_FILE, tls.SPKI_FILE}
    assert modes == {
        tls.KEYSTORE_FILE: 0o600,
        tls.KEYSTORE_PASSWORD_FILE: 0o600,
        tls.CERTIFICATE_FILE: 0o644,
        tls.SPKI_FILE: 0o644,
    }
    assert b"PRIVATE" not in b"".join(read(material).values())


def test_certificate_and_key_belong_together(material: Path) -> None:
    certificate = x509.load_pem_x509_certificate(path_of(material, tls.CERTIFICATE_FILE).read_bytes())
    _, in_store, others = pkcs12.load_key_and_certificates(
        path_of(material, tls.KEYSTORE_FILE).read_bytes(), path_of(material, tls.KEYSTORE_PASSWORD_FILE).read_bytes()
    )
    assert (in_store, others) == (certificate, [])
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert base64.b64decode(path_of(material, tls.SPKI_FILE).read_text()) == hashlib.sha256(spki).digest()
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    end = tls.expires_at(path_of(material, tls.CERTIFICATE_FILE))
    assert end == certificate.not_valid_after_utc
    assert end > datetime.now(UTC) + timedelta(days=3600)


def test_made_once(material: Path) -> None:
    before = read(material)
    make(material)
    assert read(material) == before


def test_renewed_in_time(tmp_path: Path) -> None:
    """Not 31 days before its end, but 29."""
    now = datetime.now(UTC)
    make(tmp_path, now=now)
    before = read(tmp_path)
    end = now + tls.LIFETIME
    make(tmp_path, now=end - timedelta(days=31))
    assert read(tmp_path) == before
    make(tmp_path, now=end - timedelta(days=29))
    after = read(tmp_path)
    assert all(after[name] != before[name] for name in NAMES)
    assert is_current(tmp_path, end)


@pytest.mark.parametrize("name", NAMES)
def test_made_anew_when_a_part_is_lost(tmp_path: Path, name: str) -> None:
    make(tmp_path)
    before = read(tmp_path)
    path_of(tmp_path, name).unlink()
    assert not is_current(tmp_path)
    make(tmp_path)
    assert is_current(tmp_path)
    assert read(tmp_path)[tls.KEYSTORE_FILE] != before[tls.KEYSTORE_FILE]


def test_made_anew_when_the_certificate_is_unreadable(tmp_path: Path) -> None:
    for name in NAMES:
        path_of(tmp_path, name).parent.mkdir(mode=0o700, exist_ok=True)
        path_of(tmp_path, name).write_text("nonsense")
    make(tmp_path)
    assert is_current(tmp_path)


def test_a_clock_that_was_set_back_is_no_reason_to_distrust(material: Path) -> None:
    """A machine without a battery begins in the past, and must reach its gateway all the same."""
    certificate = x509.load_pem_x509_certificate(path_of(material, tls.CERTIFICATE_FILE).read_bytes())
    assert certificate.not_valid_before_utc == datetime(1970, 1, 1, tzinfo=UTC)


def test_validity_beyond_2049_is_understood(tmp_path: Path) -> None:
    make(tmp_path, now=datetime(2045, 1, 1, tzinfo=UTC))
    end = tls.expires_at(path_of(tmp_path, tls.CERTIFICATE_FILE))
    assert end is not None
    assert end.year == 2055


def test_no_key_goes_where_others_may_look(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "private").chmod(0o750)
    with pytest.raises(OutputError, match="others may look into it"):
        make(tmp_path)
    assert list((tmp_path / "private").iterdir()) == []


def test_no_directory_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        make(tmp_path / "file/gateway")
