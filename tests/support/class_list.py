"""Writes the list of the classes that IBKR's gateway needs, from its start to a session of both tiers.

    .venv/bin/python -P -m tests.support.class_list java [JAVA …]

Every Java that is named is asked, since each has classes of its own: a name that one does not know is left out by it.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.processes import environment
from ibkr_tools.gateway import class_archive
from tests.support.stages import TRADER, one_place, scene

__all__ = ["names_in"]

# `java -version`, and what makes an archive, are no gateway.
WRAPPER = """#!/bin/sh
case " $* " in *" -version "* | *" -Xshare:dump "*) exec {java} "$@" ;; esac
exec {java} -XX:DumpLoadedClassList={lists}/$$.lst "$@"
"""
_MADE_AT_RUN_TIME = re.compile(r"/\$Proxy|/Generated\w+Accessor|\$\$|LambdaForm|\$Holder$")


def names_in(listing: str) -> Iterator[str]:
    """Returns the classes in a list that Java has written, without those that it makes anew in every process."""
    for line in listing.splitlines():
        name, _, more = line.partition(" ")
        # What begins with @ is for one version of Java only; what has a source is of another class loader.
        if re.fullmatch(r"[\w$/]+", name) and "source:" not in more and not _MADE_AT_RUN_TIME.search(name):
            yield name


def _needed_by(java: str) -> set[str]:
    with tempfile.TemporaryDirectory() as folder:
        wrapper = Path(folder, "java")
        wrapper.write_text(WRAPPER.format(java=shutil.which(java), lists=folder))
        wrapper.chmod(0o755)
        Path(folder).chmod(0o755)
        os.environ["PATH"] = f"{folder}:{os.environ['PATH']}"
        with one_place() as stages, scene(stages, TRADER, tier="brokerage") as begun:
            command = begun.stage.command("fetch", "positions")
            subprocess.run(command, env=environment(), stdout=subprocess.DEVNULL, check=True, timeout=60)
        os.environ["PATH"] = os.environ["PATH"].partition(":")[2]
        return {name for path in Path(folder).glob("*.lst") for name in names_in(path.read_text())}


def main() -> None:
    """Asks every Java that the command line names."""
    names = set().union(*map(_needed_by, sys.argv[1:] or ["java"]))
    class_archive.CLASS_LIST.write_text("".join(f"{name}\n" for name in sorted(names)))


if __name__ == "__main__":
    main()
