"""Examples and exit codes of every command: what `--help` and the man pages show besides the options. Data only."""

from collections.abc import Mapping
from typing import NamedTuple

EXIT_CODES: Mapping[int, str] = {
    0: "done",
    1: "something has changed",
    2: "the command line, a jq program or a name is wrong",
    65: "an answer or a file is not what it should be",
    69: "the gateway, or a server of this machine, does not answer",
    70: "a bug in ibkr-tools",
    73: "the result could not be written",
    75: "not possible for now: try again later",
    77: "a person must act, or root is needed",
    78: "something must be configured or installed",
}
"""What each exit code means; docs/status.md says more."""

COMMON_CODES = (0, 2, 70)
"""Codes that every command may end with."""


class Example(NamedTuple):
    """A command line, and what it does."""

    line: str
    meaning: str


class CommandExtras(NamedTuple):
    """What the help of a command has besides its options.

    `codes`: exit codes besides `COMMON_CODES`. `meanings`: of codes that mean something of their own here.
    """

    examples: tuple[Example, ...]
    codes: tuple[int, ...] = ()
    meanings: Mapping[int, str] = {}

    def exit_codes(self) -> dict[int, str]:
        """Returns every code that the command may end with, and its meaning."""
        codes = sorted({*COMMON_CODES, *self.codes, *self.meanings})
        return {code: self.meanings.get(code, EXIT_CODES[code]) for code in codes}


_READ = (65, 69, 73, 75, 77, 78)
_HISTORY = (65, 69, 73, 75, 78)
_NO_SESSION = {75: "no session at the moment: try again later"}

EXTRAS: Mapping[str, CommandExtras] = {
    "": CommandExtras(
        (
            Example("ibkr-tools status", "is the session up, and what happens next"),
            Example("ibkr-tools fetch --table", "positions with totals, asked of IBKR now"),
            Example("ibkr-tools show positions", "the same, as saved last; no request"),
        ),
        tuple(code for code in EXIT_CODES if code > 1),
    ),
    "fetch": CommandExtras(
        (
            Example("ibkr-tools fetch --table", "positions, with totals and weights"),
            Example("ibkr-tools fetch --jq '.positions | length'", "a jq program over the snapshot"),
            Example("ibkr-tools fetch positions -f csv -o positions.csv", "a list for a spreadsheet"),
            Example("ibkr-tools fetch --save --wait 120", "what ibkr-fetch.service runs"),
        ),
        _READ,
        _NO_SESSION,
    ),
    "api": CommandExtras(
        (
            Example("ibkr-tools api /portfolio/accounts --table", "one read, as a table"),
            Example("ibkr-tools api /portfolio/U1234567/ledger --jq .BASE.cashbalance", "one figure of it"),
        ),
        _READ,
        _NO_SESSION,
    ),
    "show": CommandExtras(
        (
            Example("ibkr-tools show", "what is saved, and how old it is"),
            Example("ibkr-tools show positions --all", "all rows and columns"),
            Example("ibkr-tools show ledger --at 2026-11-20", "the last copy of a day"),
            Example("ibkr-tools show --list", "which copies there are"),
        ),
        (65, 73, 75, 78),
        {75: "nothing has been saved yet"},
    ),
    "diff": CommandExtras(
        (
            Example("ibkr-tools diff", "the last saved snapshot, and the day before"),
            Example("ibkr-tools diff 2026-11-20 2026-11-27", "two days"),
        ),
        _HISTORY,
        {0: "nothing has changed", 1: "something has changed"},
    ),
    "resources": CommandExtras(
        (
            Example("ibkr-tools resources", "every read, with its tier and pacing"),
            Example("ibkr-tools resources transactions", "one of them, with its parameters"),
        ),
    ),
    "status": CommandExtras(
        (
            Example("ibkr-tools status", "for people"),
            Example("ibkr-tools status --json", "for scripts"),
        ),
        (65,),
        {
            0: "the session is up",
            69: "the gateway does not run",
            75: "no session at the moment",
            77: "a person must act",
            78: "the configuration is wrong",
        },
    ),
    "doctor": CommandExtras(
        (
            Example("sudo ibkr-tools doctor", "everything that is wrong, and the command that helps"),
            Example("ibkr-tools doctor --all", "what is well, too"),
            Example("sudo ibkr-tools doctor --report", "for a public issue: nothing private is in it"),
        ),
        (),
        {0: "nothing to do", 1: "there is something to know", 78: "there is something to do"},
    ),
    "logs": CommandExtras(
        (
            Example("ibkr-tools logs --follow", "what all units do now"),
            Example("ibkr-tools logs login -n 20", "the last login, one line per step"),
            Example("ibkr-tools logs --warnings --since yesterday", "what went wrong"),
        ),
        (77, 78),
    ),
    "setup": CommandExtras(
        (
            Example("sudo ibkr-tools setup", "asks what is needed, and ends with the first positions"),
            Example("sudo ibkr-tools setup --schedule 'Mon..Fri 18:00'", "change one answer"),
            Example("sudo ibkr-tools setup --simulator", "the simulator's user, without a question"),
        ),
        (69, 73, 75, 77, 78),
    ),
    "password": CommandExtras(
        (
            Example("sudo ibkr-tools password", "asks for the new one, without an echo"),
            Example("sudo ibkr-tools password --password-stdin --login", "read it from a pipe, and log in with it"),
        ),
        (69, 73, 75, 77, 78),
    ),
    "metrics": CommandExtras(
        (
            Example("ibkr-tools metrics", "in the format that Prometheus reads"),
            Example("sudo ibkr-tools metrics --write", "into the file that the configuration names"),
        ),
        (65, 73, 78),
    ),
    "login": CommandExtras(
        (
            Example("sudo ibkr-tools login", "log in now; the watchdog does it by itself"),
            Example("sudo ibkr-tools login --explain", "what is on IBKR's page; submits nothing"),
        ),
        (69, 73, 75, 77, 78),
        {75: "no session; the message says why"},
    ),
    "unlock": CommandExtras(
        (
            Example("sudo ibkr-tools unlock --show", "the login log, and what is left of the budget"),
            Example("sudo ibkr-tools unlock", "clear the budget, once the cause is corrected"),
        ),
        (73, 75, 77),
    ),
    "pause": CommandExtras(
        (
            Example("sudo ibkr-tools pause --for 2h", "while you use the user elsewhere"),
            Example("sudo ibkr-tools pause", "until `ibkr-tools resume`"),
        ),
        (73, 77),
    ),
    "resume": CommandExtras((Example("sudo ibkr-tools resume", "logins happen again"),), (73, 77)),
    "alert": CommandExtras(
        (
            Example("sudo ibkr-tools alert --test", "send a test message, and say how it went"),
            Example("sudo ibkr-tools alert", "deliver what waits"),
        ),
        (73, 75, 78),
    ),
    "watchdog": CommandExtras((Example("ibkr-tools watchdog", "what ibkr-watchdog.service runs"),), (69, 73, 78)),
    "up": CommandExtras(
        (
            Example("ibkr-tools up --simulate", "everything, without an account and without Java"),
            Example("ibkr-tools up", "with IBKR's gateway"),
        ),
        (69, 73, 78),
    ),
    "simulate": CommandExtras(
        (
            Example("ibkr-tools simulate", "behind IBKR's gateway"),
            Example("ibkr-tools simulate --as-gateway --port 5000", "in the gateway's place"),
        ),
        (69, 73, 78),
    ),
    "gateway": CommandExtras((Example("ibkr-tools gateway info", "which build is installed"),), (73, 78)),
    "gateway run": CommandExtras((Example("ibkr-tools gateway run", "what ibkr-gateway.service runs"),), (69, 73, 78)),
    "gateway install": CommandExtras(
        (
            Example("ibkr-tools gateway install clientportal.gw.zip", "IBKR's zip"),
            Example("ibkr-tools gateway install --download", "the same, from IBKR"),
        ),
        (73, 78),
    ),
    "gateway update": CommandExtras(
        (
            Example("ibkr-tools gateway update --check", "is there another build?"),
            Example("ibkr-tools gateway update", "install it, and keep the one before"),
        ),
        (73, 78),
        {1: "there is another build (--check)"},
    ),
    "gateway rollback": CommandExtras(
        (Example("ibkr-tools gateway rollback", "back to the one before the update"),), (73, 78)
    ),
    "gateway info": CommandExtras((Example("ibkr-tools gateway info", "folder, build and SHA-256"),), (78,)),
    "gateway prepare": CommandExtras((Example("ibkr-tools gateway prepare", "what bin/install runs"),), (73, 78)),
    "config": CommandExtras((Example("ibkr-tools config check", "every problem at once"),), (73, 78)),
    "config check": CommandExtras(
        (
            Example("ibkr-tools config check", "every problem at once"),
            Example("sudo ibkr-tools config check", "the secrets too, which only root can read"),
        ),
        (78,),
        {0: "fine", 78: "something is wrong; every problem is named"},
    ),
    "config schema": CommandExtras(
        (
            Example("ibkr-tools config schema", "of config.json, for editors"),
            Example("ibkr-tools config schema --status", "of status.json"),
        ),
    ),
    "config adopt-password": CommandExtras(
        (Example("sudo ibkr-tools config adopt-password", "what bin/install runs"),), (73, 78)
    ),
    "config adopt-token": CommandExtras(
        (Example("sudo ibkr-tools config adopt-token", "what bin/install runs"),), (73, 78)
    ),
    "flex": CommandExtras(
        (
            Example("sudo ibkr-tools flex fetch --all", "everything that IBKR has"),
            Example("sudo ibkr-tools flex list", "what is kept"),
        ),
        _HISTORY,
    ),
    "flex fetch": CommandExtras(
        (
            Example("sudo ibkr-tools flex fetch", "the days that are due"),
            Example("sudo ibkr-tools flex fetch --all", "everything that IBKR has"),
            Example("sudo ibkr-tools flex fetch --from 2026-01-01 --to 2026-03-31", "a quarter"),
        ),
        (65, 69, 73, 75, 77, 78),
        {75: "no statement for now, or not of all days"},
    ),
    "flex check": CommandExtras(
        (
            Example("ibkr-tools flex check 2026.xml", "what is in a file; nothing is kept"),
            Example("sudo ibkr-tools flex check", "ask for one statement: are query and token fine?"),
        ),
        (65, 73, 75, 77, 78),
    ),
    "flex import": CommandExtras(
        (
            Example("sudo ibkr-tools flex import 2026.xml", "keep a statement downloaded by hand"),
            Example("sudo ibkr-tools flex import statements/", "every .xml and .xml.gz of a folder"),
        ),
        (65, 69, 73, 78),
    ),
    "flex list": CommandExtras((Example("sudo ibkr-tools flex list", "days, when made, file"),), (73, 78)),
    "history": CommandExtras(
        (
            Example("ibkr-tools history values --by month", "net asset value at the ends of months"),
            Example("ibkr-tools history returns --by year", "time-weighted and money-weighted"),
        ),
        _HISTORY,
    ),
    "history rebuild": CommandExtras(
        (Example("sudo ibkr-tools history rebuild", "from the statements that are kept"),), _HISTORY
    ),
    "history values": CommandExtras(
        (
            Example("ibkr-tools history values --by month", "the last day of each month"),
            Example("ibkr-tools history values --period 1y --plot", "drawn, beside what was paid in"),
        ),
        _HISTORY,
    ),
    "history flows": CommandExtras(
        (Example("ibkr-tools history flows --by year", "what was paid in and out, year by year"),), _HISTORY
    ),
    "history income": CommandExtras(
        (
            Example("ibkr-tools history income --by month", "dividends, interest and their taxes"),
            Example("ibkr-tools history income --period 2025 -f csv -o 2025.csv", "a year for a spreadsheet"),
        ),
        _HISTORY,
    ),
    "history fees": CommandExtras((Example("ibkr-tools history fees --period ytd", "this year's"),), _HISTORY),
    "history trades": CommandExtras(
        (Example("ibkr-tools history trades --period 2026-03", "those of a month"),), _HISTORY
    ),
    "history positions": CommandExtras(
        (Example("ibkr-tools history positions --on 2025-12-31", "at the end of a day"),), _HISTORY
    ),
    "history check": CommandExtras(
        (Example("ibkr-tools history check", "the newest statement beside the snapshot of its day"),),
        _HISTORY,
        {65: "statement and snapshot contradict each other"},
    ),
    "history returns": CommandExtras(
        (
            Example("ibkr-tools history returns --by year", "beside IBKR's own"),
            Example("ibkr-tools history returns --period 1y --benchmark index.csv", "beside an index"),
        ),
        _HISTORY,
    ),
}
"""By the command as it is typed after `ibkr-tools`; empty: the program itself."""
