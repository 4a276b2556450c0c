"""Makes small distributions of a gateway that is not IBKR's."""

import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from ibkr_tools.errors import DistributionError
from ibkr_tools.gateway import distribution, distribution_install
from ibkr_tools.gateway.distribution_identity import MAIN_CLASS

__all__ = ["JAR", "Names", "install", "jar", "parts", "write_jar", "zipped"]

JAR = "dist/ibgroup.web.core.iblink.router.clientportal.gw.jar"
Names = Mapping[str, bytes]
"""What is in a zip, by the path there."""


def write_jar(
    path: Path | BinaryIO,
    *,
    built: str = "2031-05-06",
    entry: str = MAIN_CLASS,
    on: tuple[int, int, int] = (2030, 1, 2),
) -> None:
    """Writes a jar with one class, the same bytes at any time.

    Args:
        path: where to; folders above it are made.
        built: the day that its manifest names, none if empty.
        entry: the name of the class.
        on: the day of its files.
    """
    if isinstance(path, Path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        manifest = f"When-Built: {built}T01:02:03\n" if built else ""
        archive.writestr(zipfile.ZipInfo("META-INF/MANIFEST.MF", (*on, 0, 0, 0)), manifest)
        archive.writestr(zipfile.ZipInfo(entry, (*on, 0, 0, 0)), b"\xca\xfe")


def jar(*, built: str = "2031-05-06", name: str = MAIN_CLASS) -> bytes:
    """Returns a jar; see `write_jar`."""
    out = io.BytesIO()
    write_jar(out, built=built, entry=name)
    return out.getvalue()


def parts(mark: bytes = b"one") -> dict[str, bytes]:
    """Returns the least that a distribution has; `mark` is the text of one of its files."""
    return {JAR: jar(), "build/lib/runtime/vertx.jar": jar(name="v"), "root/conf.yaml": mark, "bin/run.sh": b"#!"}


def zipped(path: Path, names: Names, prefix: str = "") -> Path:
    """Writes a zip and returns its path."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in names.items():
            archive.writestr(prefix + name, data)
    return path


def install(source: Path, into: Path, accepted: Path) -> distribution.Distribution:
    """Installs a distribution as a person does who trusts it: refused, named, accepted."""
    try:
        return distribution_install.install(source, into, accepted)
    except DistributionError as error:
        named = re.search(r"SHA-256 ([0-9a-f]{64})", error.message)
        if named is None:
            raise
    return distribution_install.install(source, into, accepted, accept=named[1])
