"""The gateway's certificate, with Java and with TLS clients."""

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from ibkr_tools.gateway import tls
from ibkr_tools.gateway.liveness_probe import answers_locally


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("state") / "gateway"
    make(folder)
    return folder


def make(folder: Path, now: datetime | None = None) -> None:
    tls.make_material(folder / "tls", folder / "private", now=now)


def path_of(folder: Path, name: str) -> Path:
    return folder / ("private" if name in {tls.KEYSTORE_FILE, tls.KEYSTORE_PASSWORD_FILE} else "tls") / name


def server_context(directory: Path) -> ssl.SSLContext:
    key, certificate, _ = pkcs12.load_key_and_certificates(
        path_of(directory, tls.KEYSTORE_FILE).read_bytes(), path_of(directory, tls.KEYSTORE_PASSWORD_FILE).read_bytes()
    )
    assert key is not None
    assert certificate is not None
    chain = directory / "chain-for-a-test.pem"
    chain.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    chain.unlink()
    return context


@contextmanager
def serving(context: ssl.SSLContext | None, answer: bytes | None) -> Iterator[int]:
    """A server that sends `answer` to whatever comes first; with None it says nothing at all, not even TLS."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        held = []
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                break
            held.append(plain)
            if answer is None:
                continue
            try:
                peer = context.wrap_socket(plain, server_side=True) if context else plain
                peer.settimeout(2)
                peer.recv(4096)
                peer.sendall(answer)
                peer.close()
            except OSError:
                plain.close()
        for each in held:
            each.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_strict_clients_accept_it(material: Path) -> None:
    """OpenSSL's strictest flag, which Python 3.13 sets by default; by address and by name."""
    context = ssl.create_default_context(cafile=str(path_of(material, tls.CERTIFICATE_FILE)))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    for name in ("127.0.0.1", "localhost"):
        with (
            serving(server_context(material), b"hello") as port,
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=name) as secured,
        ):
            secured.sendall(b"x")
            assert secured.recv(5) == b"hello"


@pytest.mark.skipif(shutil.which("keytool") is None, reason="needs a Java runtime")
def test_java_reads_the_store_as_the_jar_does(material: Path) -> None:
    """The jar asks for type JKS; every Java since 8u60 then reads PKCS#12 too."""
    password = path_of(material, tls.KEYSTORE_PASSWORD_FILE).read_text()
    command = [
        "keytool",
        "-list",
        "-storetype",
        "JKS",
        "-keystore",
        str(path_of(material, tls.KEYSTORE_FILE)),
        "-storepass:env",
        "P",
    ]
    done = subprocess.run(
        command, env={"P": password, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=60, check=False
    )
    assert "PrivateKeyEntry" in done.stdout, done.stdout + done.stderr


def test_probe_wants_a_redirect_from_exactly_our_certificate(material: Path, tmp_path: Path) -> None:
    """A redirect counts; other statuses, other keys, plain text, silence and nobody do not."""
    ours = path_of(material, tls.CERTIFICATE_FILE)
    context = server_context(material)
    with serving(context, b"HTTP/1.1 302 Found\r\nLocation: https://example.invalid/\r\n\r\n") as port:
        assert answers_locally(port, ours, 5)
        make(tmp_path)
        assert not answers_locally(port, path_of(tmp_path, tls.CERTIFICATE_FILE), 5)
        assert not answers_locally(port, tmp_path / "none.pem", 5)
        (tmp_path / "bad.pem").write_text("nonsense")
        assert not answers_locally(port, tmp_path / "bad.pem", 5)
    for answer in (b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 404 Not Found\r\n\r\n", b"302\r\n", b"x" * 9000, b""):
        with serving(context, answer) as port:
            assert not answers_locally(port, ours, 5)
    with serving(None, b"HTTP/1.1 302 Found\r\n\r\n") as port:
        assert not answers_locally(port, ours, 5)
    with serving(None, None) as port:
        began = datetime.now(UTC)
        assert not answers_locally(port, ours, 0.3)
        assert datetime.now(UTC) - began < timedelta(seconds=2)
    assert not answers_locally(port, ours, 5)
