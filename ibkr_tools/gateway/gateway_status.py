"""The gateway's section of the status file, written with the standard library only.

`ibkr_tools.status` is where its shape is defined; the parent cannot afford the 3 MB that msgspec costs. A test reads
with the one what the other wrote.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

from ibkr_tools import files

STATUS_SCHEMA = 1

GATEWAY_STATUS_LOCK_TIMEOUT_S = 1.0
"""How long to wait for another writer; systemd waits 15 s for a word from us, and a process may be stopped (Ctrl-Z)."""


def utc_timestamp() -> str:
    """Returns the time now as the status file has it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def write_gateway_section(path: Path, section: dict[str, object]) -> None:
    """Replaces the gateway's section and leaves the others as they are; a damaged file is replaced whole.

    Args:
        path: the status file.
        section: the fields of `ibkr_tools.status.GatewaySection`; `updated_at` is set here.

    Raises:
        OSError: the runtime directory is missing, full or not writable, or a process that was stopped while it
            wrote keeps everybody else out.
    """
    files.make_directory(path.parent, mode=0o700)
    with files.locked(path.with_suffix(".lock"), timeout_s=GATEWAY_STATUS_LOCK_TIMEOUT_S):
        try:
            document = json.loads(files.read_regular(path))
        except (OSError, ValueError, RecursionError):
            document = {}
        if not isinstance(document, dict) or document.get("schema") != STATUS_SCHEMA:
            document = {"schema": STATUS_SCHEMA}
        document["gateway"] = {**section, "updated_at": utc_timestamp()}
        data = json.dumps(document, separators=(",", ":")).encode() + b"\n"
        files.write_atomically(path, data, mode=0o640, fsync=False)
