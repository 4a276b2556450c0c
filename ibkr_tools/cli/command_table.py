"""Every command and group of commands: its panel in `ibkr-tools --help`, and its module.

Loaded at every start: data only.
"""

from typing import NamedTuple

DATA = "Data"
SESSION = "Session"
SETUP = "Set-up"
UNITS = "Run by systemd"


class CommandEntry(NamedTuple):
    """The panel of a command, and the module in `ibkr_tools.cli` that has it.

    `is_over_several`: it shows several instances at once; see `several_instances`.
    """

    panel: str
    module: str
    is_over_several: bool = False


COMMANDS = {
    "fetch": CommandEntry(DATA, "fetch_command"),
    "show": CommandEntry(DATA, "show_command", is_over_several=True),
    "diff": CommandEntry(DATA, "diff_command"),
    "history": CommandEntry(DATA, "history_commands", is_over_several=True),
    "flex": CommandEntry(DATA, "flex_commands"),
    "api": CommandEntry(DATA, "api_command"),
    "resources": CommandEntry(DATA, "resources_command"),
    "status": CommandEntry(SESSION, "status_command"),
    "doctor": CommandEntry(SESSION, "doctor_command"),
    "logs": CommandEntry(SESSION, "logs_command"),
    "metrics": CommandEntry(SESSION, "metrics_command"),
    "login": CommandEntry(SESSION, "login_commands"),
    "unlock": CommandEntry(SESSION, "login_commands"),
    "pause": CommandEntry(SESSION, "login_commands"),
    "resume": CommandEntry(SESSION, "login_commands"),
    "setup": CommandEntry(SETUP, "setup_command"),
    "password": CommandEntry(SETUP, "password_command"),
    "config": CommandEntry(SETUP, "config_commands"),
    "gateway": CommandEntry(SETUP, "gateway_commands"),
    "up": CommandEntry(SETUP, "up_command"),
    "simulate": CommandEntry(SETUP, "simulate_command"),
    "watchdog": CommandEntry(UNITS, "watchdog_command"),
    "alert": CommandEntry(UNITS, "alert_command"),
}
"""By the command's name, in the order of the help."""
