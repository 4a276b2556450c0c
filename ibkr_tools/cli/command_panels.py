"""The panels of `ibkr-tools --help`, and which command is in which. Loaded at every start: data only."""

DATA = "Data"
SESSION = "Session"
SETUP = "Set-up"
UNITS = "Run by systemd"

PANELS = {
    "fetch": DATA,
    "show": DATA,
    "diff": DATA,
    "history": DATA,
    "flex": DATA,
    "api": DATA,
    "resources": DATA,
    "status": SESSION,
    "doctor": SESSION,
    "metrics": SESSION,
    "login": SESSION,
    "unlock": SESSION,
    "pause": SESSION,
    "resume": SESSION,
    "setup": SETUP,
    "password": SETUP,
    "config": SETUP,
    "gateway": SETUP,
    "up": SETUP,
    "simulate": SETUP,
    "watchdog": UNITS,
    "alert": UNITS,
}
"""By the command's name, in the order of the help."""
