"""The gateway's own key and certificate; the one shipped in its jar expired in 2019 and everybody has its key.

Two directories. `private` (0700), where nobody but their owner can even look: `gateway.p12` and `gateway.password`, for
Java only. `public`, for the group: `gateway.pem`, what clients trust, and `gateway.spki`, base64 of the SHA-256 of the
public key, for Chromium. `gateway.pem` is written last and removed first: where it is, the other three belong to it.
"""

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ibkr_tools import files
from ibkr_tools.errors import OutputError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

KEYSTORE_FILE = "gateway.p12"
KEYSTORE_PASSWORD_FILE = "gateway.password"  # noqa: S105  # a file's name
CERTIFICATE_FILE = "gateway.pem"
SPKI_FILE = "gateway.spki"

LIFETIME = timedelta(days=3652)
RENEW_BEFORE = timedelta(days=30)


def expires_at(certificate: Path) -> datetime | None:
    """Returns until when a certificate of ours is valid; None if that cannot be read from the file."""
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(files.read_user_file(certificate)).not_valid_after_utc
    except (OSError, ValueError):
        return None


def opens_key_store(public: Path, private: Path) -> bool:
    """Says whether the key store opens with its password and has the certificate in it.

    Raises:
        PermissionError: this user may not look.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import pkcs12

    try:
        certificate = x509.load_pem_x509_certificate(files.read_user_file(public / CERTIFICATE_FILE))
        password = files.read_user_file(private / KEYSTORE_PASSWORD_FILE)
        store = files.read_user_file(private / KEYSTORE_FILE)
        key, inside, _ = pkcs12.load_key_and_certificates(store, password)
    except PermissionError:
        raise
    except (OSError, ValueError):
        return False
    return key is not None and inside == certificate


def has_its_pin(public: Path) -> bool:
    """Says whether the pin for Chromium is that of the certificate."""
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificate(files.read_user_file(public / CERTIFICATE_FILE))
        return files.read_user_file(public / SPKI_FILE).strip() == _pin(certificate.public_key())
    except (OSError, ValueError):
        return False


def _pin(public_key: "CertificatePublicKeyTypes") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    spki = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(spki).digest())


def is_current(public: Path, private: Path, now: datetime | None = None) -> bool:
    """Says whether the material is complete and valid for longer than the renewal margin."""
    required = (
        private / KEYSTORE_FILE,
        private / KEYSTORE_PASSWORD_FILE,
        public / CERTIFICATE_FILE,
        public / SPKI_FILE,
    )
    if not all(path.is_file() for path in required):
        return False
    end = expires_at(public / CERTIFICATE_FILE)
    return end is not None and end - RENEW_BEFORE > (now or datetime.now(UTC))


def make_material(public: Path, private: Path, *, now: datetime | None = None) -> None:
    """Makes key, certificate and key store unless they are there and good for another 30 days.

    The key exists only in `gateway.p12`. After a renewal the gateway must be restarted, and clients must read
    `gateway.pem` again.

    Raises:
        OutputError: a directory cannot be written, or others may look into the private one.
    """
    moment = now or datetime.now(UTC)
    try:
        files.make_directory(public, mode=0o755)
        files.make_directory(private, mode=0o700)
        if private.stat().st_mode & 0o077:
            raise OutputError(f"{private}: others may look into it", hint=f"chmod 0700 {private}")
        with files.locked(private / ".lock", mode=0o600):
            if not is_current(public, private, moment):
                _write_material(public, private, moment)
    except OSError as error:
        raise OutputError(f"{error.filename or private}: {error.strerror}") from error


def _write_material(public: Path, private: Path, now: datetime) -> None:
    import ipaddress
    import secrets

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, pkcs12
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    public_key = key.public_key()
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "ibkr-tools gateway"),
            # Two installations on one machine must not look like one issuer with two keys.
            x509.NameAttribute(NameOID.SERIAL_NUMBER, secrets.token_hex(8)),
        ]
    )
    # A leaf that signs itself: clients trust exactly this certificate, and it can issue no other. Key identifiers
    # are there because Python 3.13 verifies with VERIFY_X509_STRICT.
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        # A small machine's clock begins anywhere in the past until the network sets it; trust rests on the key alone.
        .not_valid_before(datetime(1970, 1, 1, tzinfo=UTC))
        .not_valid_after(now + LIFETIME)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")), x509.DNSName("localhost")]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=False,
                crl_sign=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public_key), critical=False)
        .sign(key, hashes.SHA256())
    )
    password = secrets.token_urlsafe(24)
    # Java before 8u301 reads no newer PKCS#12 encryption than this. It does not have to be strong: the password
    # stands in the next file, and the permissions protect both.
    encryption = (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(2048)
        .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
        .hmac_hash(hashes.SHA1())  # noqa: S303
        .build(password.encode())
    )
    store = pkcs12.serialize_key_and_certificates(b"gateway", key, certificate, None, encryption)
    (public / CERTIFICATE_FILE).unlink(missing_ok=True)
    files.write_atomically(private / KEYSTORE_PASSWORD_FILE, password.encode(), mode=0o600)
    files.write_atomically(private / KEYSTORE_FILE, store, mode=0o600)
    files.write_atomically(public / SPKI_FILE, _pin(public_key) + b"\n", mode=0o644)
    files.write_atomically(public / CERTIFICATE_FILE, certificate.public_bytes(Encoding.PEM), mode=0o644)
