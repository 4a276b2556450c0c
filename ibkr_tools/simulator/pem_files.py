"""The gateway's own key and certificate as the PEM files that Python's TLS wants, for as long as it reads them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12


@contextmanager
def pem_pair(public: Path, private: Path) -> Iterator[tuple[Path, Path]]:
    """Yields certificate and key unpacked from `gateway.p12`; the key's file is gone afterwards.

    Args:
        public: the directory with `gateway.pem`.
        private: the directory with `gateway.p12` and its password.

    Raises:
        OSError: the material is not there.
        ValueError: it cannot be decoded.
    """
    password = (private / "gateway.password").read_bytes().strip()
    key, _, _ = pkcs12.load_key_and_certificates((private / "gateway.p12").read_bytes(), password)
    if key is None:
        raise ValueError(f"{private}: no key in gateway.p12")
    with TemporaryDirectory(prefix="ibkr-tools-") as scratch:
        path = Path(scratch) / "gateway.key"
        path.touch(mode=0o600)
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        yield public / "gateway.pem", path
