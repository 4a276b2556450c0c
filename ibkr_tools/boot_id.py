"""The id of the machine's present boot: the monotonic clocks of two boots cannot be compared."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

BOOT_ID_VARIABLE = "IBKR_TOOLS_BOOT_ID"
"""The environment variable in which the units pass on systemd's `%b`: ProcSubset=pid hides the kernel's file there."""

_KERNEL_FILE = Path("/proc/sys/kernel/random/boot_id")


def read_boot_id(environ: Mapping[str, str] | None = None) -> str:
    """Returns the id as 32 hexadecimal digits, equal in all processes of one boot; an empty text if it is unknown.

    Sources: systemd.unit(5), specifier %b; random(4), boot_id.
    """
    env = os.environ if environ is None else environ
    boot_id = env.get(BOOT_ID_VARIABLE, "")
    if not boot_id:
        with suppress(OSError):
            boot_id = _KERNEL_FILE.read_text(encoding="utf-8")
    return boot_id.strip().replace("-", "")
