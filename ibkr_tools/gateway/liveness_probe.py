"""Does the gateway answer locally? The jar answers `GET /` by itself, so this says nothing about IBKR or the session.

Standard library only, and without http.client: it would cost the gateway's parent 3 MB.
"""

import contextlib
import socket
import ssl
import time
from pathlib import Path

_MAX_STATUS_LINE_BYTES = 4096


def answers_locally(port: int, certificate: Path, timeout_s: float) -> bool:
    """Says whether `GET /` on 127.0.0.1 gives a redirect, over TLS with exactly `certificate`; never follows it.

    Everything else is a no: refused, silent, another certificate, another status. Observed with the jar of
    2023-04-24: 302 in a few ms even while IBKR cannot be reached.

    Args:
        port: the gateway's port.
        certificate: the PEM file of the gateway's own certificate.
        timeout_s: for everything together, in seconds.
    """
    deadline = time.monotonic() + timeout_s
    try:
        with contextlib.ExitStack() as stack:
            # First, since it is refused for as long as Java starts, and the rest costs a hundred times as much.
            plain = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=timeout_s))
            expected = certificate.read_text()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(cadata=expected)
            secured = stack.enter_context(
                context.wrap_socket(plain, server_hostname="127.0.0.1", do_handshake_on_connect=False)
            )
            secured.settimeout(max(0.001, deadline - time.monotonic()))
            secured.do_handshake()
            if secured.getpeercert(binary_form=True) != ssl.PEM_cert_to_DER_cert(expected):
                return False
            secured.sendall(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
            line = b""
            while b"\r\n" not in line:
                secured.settimeout(max(0.001, deadline - time.monotonic()))
                received = secured.recv(1024)
                line += received
                if not received or len(line) > _MAX_STATUS_LINE_BYTES or time.monotonic() > deadline:
                    return False
    except (OSError, ValueError):
        # ssl.SSLError and timeouts are OSErrors; a PEM file that is none is a ValueError.
        return False
    return line.split(b"\r\n")[0].split(b" ")[1:2] == [b"302"]
