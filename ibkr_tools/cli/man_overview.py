"""What ibkr-tools(7) and ibkr-tools-config(5) say besides what is generated. Data only; backquotes are bold."""

DESCRIPTION = """\
ibkr-tools keeps one Interactive Brokers user signed in on a Linux server without anybody watching, and turns the
account into files and tables. IBKR's Web API needs a Java gateway on this machine, a login with a browser, and a call
at least once a minute; IBKR drops the session two or three times a day.

The gateway's unit starts IBKR's Java program. The watchdog keeps the session alive, and notices its loss: within a
second if IBKR tells it, else within 30 seconds. It then asks for a login, which a headless Chromium does in a process
of its own; no other process sees the password. What cannot be found out (no answer, a maintenance page) is asked again,
and is no reason to log in.

Every password that is submitted is entered in the login log before. A refused password is not submitted again, and
after four failures in a day nothing logs in until a person says `ibkr-tools unlock`. IBKR locks a user after ten.

Everything is read-only: no request that ibkr-tools can send is an order."""

UNITS = {
    "ibkr-gateway.service": "IBKR's gateway, and with it everything else",
    "ibkr-watchdog.service": "keeps the session alive, notices its loss, asks for a login",
    "ibkr-login.path, ibkr-login.service": "one login with the browser, when it is asked for",
    "ibkr-fetch.timer, ibkr-fetch.service": "saves a snapshot, daily once it is enabled",
    "ibkr-snapshot.path, ibkr-snapshot.service": "saves a snapshot when a member of the group asks for one",
    "ibkr-flex.timer, ibkr-flex.service": "fetches statements of the past, once it is enabled",
    "ibkr-metrics.timer, ibkr-metrics.service": "writes numbers for Prometheus, once it is enabled",
    "ibkr-alert.path, ibkr-alert.service, ibkr-alert@.service": "tells a person what needs one",
    "ibkr-firewall.service": "has nobody else reach the gateway's port",
    "ibkr-relay.socket, ibkr-relay.service": "the login's way to the gateway, from a network of its own",
    "ibkr-simulator.service": "a stand-in for IBKR's servers; installed with --simulator only",
}
"""What each unit is for; units that belong together in one row."""

STATES = {
    "starting": "the watchdog has just started, and looks whether there is a session",
    "gateway-down": "nothing answers on the gateway's port; systemd restarts Java",
    "unreachable": "the gateway runs, IBKR does not answer; it is asked again, without a login",
    "maintenance": "the same during one of IBKR's windows",
    "logging-in": "a browser logs in",
    "up": "the session serves what the configuration wants",
    "degraded": "the brokerage tier is wanted and missing",
    "lost": "IBKR has said that the session is over; a login follows at once",
    "backing-off": "a login did not lead to a session; the next one follows later",
    "competing": "another program has the brokerage session",
    "paused": "a person asked that nothing logs in; see `ibkr-tools-pause`(1)",
    "locked-out": "a person must act; the status says what",
}
"""What each state of the session means."""

PEOPLE = """\
Members of the group `ibkr` may fetch, save, show and compare, and look at the status. They cannot command anything, and
they cannot read a key or a password. What needs root ends with exit code 77, and says `sudo` with the command.

A command that root starts by hand reads the configuration and the secrets as root, and goes on as the user `ibkr`."""

TROUBLE = """\
`ibkr-tools status` says what is wrong, what happens by itself, and what to type, if anything.
`journalctl -p warning -u 'ibkr-*'` is empty on a healthy machine. `ibkr-tools config check` names every problem of the
configuration at once."""

CONFIGURATION = """\
One JSON file, of at most 1 MB. Only `username` and `account` are needed. Wrong keys and wrong types are refused, all
problems at once, with exit code 78. `ibkr-tools config schema` prints the JSON Schema, with which editors complete it.

Secrets do not stay in it: `bin/install` moves the password to the file `password` beside it, and the token of the Flex
Web Service to `flex-token`; only root can read these."""
