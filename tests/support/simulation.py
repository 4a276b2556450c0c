"""Starts simulators for tests, and makes the certificate one needs to be the gateway."""

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ibkr_tools.simulator import SimulatorOptions
from tests.support.patience import wait_until

__all__ = ["gateway_options", "make_certificate", "simulator_options", "wait_until"]


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a self-signed certificate for 127.0.0.1 and localhost; return the PEM files of certificate and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ibkr-tools test gateway")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    certificate_path, key_path = folder / "certificate.pem", folder / "key.pem"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_path, key_path


def simulator_options(**changes: object) -> SimulatorOptions:
    """Return options for a simulator behind a gateway, on free ports."""
    return SimulatorOptions(**{"port": 0, "control_port": 0, **changes})  # type: ignore[arg-type]


def gateway_options(folder: Path, **changes: object) -> SimulatorOptions:
    """Return options for a simulator that is the gateway, on free ports; its certificate is made in `folder`."""
    certificate, key = make_certificate(folder)
    return simulator_options(certificate=certificate, key=key, **changes)
