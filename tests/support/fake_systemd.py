"""Programs called systemctl and systemd-analyze that write down what they are asked, for setting up without systemd."""

import json
from collections.abc import Mapping
from pathlib import Path

__all__ = ["FakeSystemd"]

_SYSTEMCTL = """#!/bin/bash
printf '%s\\n' "$*" >>{log}
if [[ $1 == show ]]; then
    name=${{3#--property=}}
    cat {properties}/"$4.$name" 2>/dev/null || echo
    exit 0
fi
if [[ -e {failing} && "$*" == *"$(cat {failing})"* ]]; then
    echo "Job for it failed because the control process exited with error code." >&2
    exit 1
fi
"""

_ANALYZE = """#!/bin/bash
declare -A known=({known})
if [[ $1 == calendar && -n ${{known[$3]-}} ]]; then
    printf '  Original form: %s\\nNormalized form: %s\\n' "$3" "${{known[$3]}}"
    exit 0
fi
echo "Failed to parse calendar specification '$3': Invalid argument" >&2
exit 1
"""

CALENDARS = {
    "07:00": "*-*-* 07:00:00",
    "daily": "*-*-* 00:00:00",
    "Mon..Fri 18:00": "Mon..Fri *-*-* 18:00:00",
}


class FakeSystemd:
    """A folder for PATH, and what its programs were asked. Everything is installed, and nothing active or enabled."""

    def __init__(self, root: Path) -> None:
        self.path = root / "systemd"
        self.unit_directory = root / "units"
        self._log, self._properties, self._failing = root / "systemctl.log", root / "properties", root / "failing"
        self.path.mkdir()
        self._properties.mkdir()
        for unit in ("ibkr-gateway.service", "ibkr-simulator.service"):
            self.set(unit, LoadState="loaded")
        self.set("ibkr-fetch.timer", TimersCalendar="{ OnCalendar=*-*-* 07:00:00 ; next_elapse=n/a }")
        known_forms = CALENDARS | {form: form for form in CALENDARS.values()}
        known = " ".join(f"[{json.dumps(text)}]={json.dumps(form)}" for text, form in known_forms.items())
        self._write(
            "systemctl",
            _SYSTEMCTL.format(log=self._log, properties=self._properties, failing=self._failing),
        )
        self._write("systemd-analyze", _ANALYZE.format(known=known))

    def _write(self, name: str, text: str) -> None:
        (self.path / name).write_text(text)
        (self.path / name).chmod(0o755)

    def set(self, unit: str, **properties: str) -> None:
        """Has a unit have these properties."""
        for name, value in properties.items():
            (self._properties / f"{unit}.{name}").write_text(f"{value}\n")

    def fail(self, call: str) -> None:
        """Has calls of systemctl fail that contain this text."""
        self._failing.write_text(call)

    def calls(self) -> list[str]:
        """Returns what systemctl was told to do; what it was only asked is left out."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [line.removeprefix("--quiet ") for line in lines if not line.startswith("show ")]

    def environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Returns the environment in which these are the programs of their names."""
        return {**environment, "PATH": f"{self.path}:{environment.get('PATH', '/usr/bin:/bin')}"}
