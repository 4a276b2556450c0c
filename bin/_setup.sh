# shellcheck shell=bash disable=SC2154  # what is not set here is set by those who source it
# What follows after the files are in place: configuration, secrets, IBKR's gateway, and what a person does next; sourced
# after _installed.sh by bin/install and by ibkr-tools-install of the package of Debian. Whoever sources it sets
# statements_only and simulator (yes or no), main_unit, gateway_source (a path, or nothing) and the list accept.

readonly SIMULATED_UPSTREAM=http://127.0.0.1:5080

as_ibkr() { as_user ibkr "$@"; }

# refuse_setup: refuses, before anything is changed, what would not become an installation.
refuse_setup() {
    require_own_user
    if [[ $simulator == yes && -e $CONFIG ]] && ! grep -qF "\"$SIMULATED_UPSTREAM\"" "$CONFIG"; then
        die 78 "$CONFIG is there and is not the simulator's; it stays as it is" \
            "Move it away first, or set \"gateway\": {\"upstream\": \"$SIMULATED_UPSTREAM\"} in it."
    fi
}

# check_gateway_source: what was named as IBKR's gateway is a file or a folder.
check_gateway_source() {
    if [[ -z $gateway_source ]]; then return; fi
    if [[ ! -e $gateway_source ]]; then die 2 "$gateway_source: no such file or folder"; fi
    if [[ ! -f $gateway_source && ! -d $gateway_source ]]; then die 2 "$gateway_source: neither a file nor a folder"; fi
}

# write_configuration [FILE]: the configuration, if there is none: the simulator's, FILE, or the example.
write_configuration() {
    if [[ -e $CONFIG ]]; then
        say "configuration: $CONFIG is kept"
    elif [[ $simulator == yes ]]; then
        say "configuration: $CONFIG, the simulator's demo user"
        "$LINK" --config "$CONFIG" setup --simulator --no-start >/dev/null
    elif [[ -n ${1:-} && -e $1 ]]; then
        say "configuration: $CONFIG, from $1"
        # For root alone until the password is out of it.
        install -m 0600 "$1" "$CONFIG"
    else
        say "configuration: $CONFIG, from the example"
        install -m 0640 -g ibkr "$CHECKOUT/config.example.json" "$CONFIG"
    fi
    # The units refer to it: without one, a login says that it has no password.
    if [[ $statements_only == no && ! -e $PASSWORD && ! -L $PASSWORD ]]; then install -m 0600 /dev/null "$PASSWORD"; fi
}

# adopt_secrets: moves a password and a token out of the configuration. The program says what it did, what it could not do,
# and which other files there have a password in them. Sets modes, the options of systemd-tmpfiles: not empty if one stayed.
adopt_secrets() {
    modes=()
    if [[ ! -e $CONFIG ]]; then return; fi
    if ! "$LINK" --config "$CONFIG" config adopt-password; then
        warn "a password in $CONFIG was not moved to $PASSWORD; whoever reads that file has it"
        if [[ $(stat -c %a "$CONFIG") == 600 ]]; then modes=(--exclude-prefix="$CONFIG"); fi
    fi
    if ! "$LINK" --config "$CONFIG" config adopt-token; then
        warn "a token in $CONFIG was not moved to $TOKEN; whoever reads that file has it"
        if [[ $(stat -c %a "$CONFIG") == 600 ]]; then modes=(--exclude-prefix="$CONFIG"); fi
    fi
}

# set_modes: of directories and files, also of those that were here before.
set_modes() { systemd-tmpfiles --create "${modes[@]}" "$LIBRARY/tmpfiles.d/ibkr-tools.conf"; }

# install_gateway: IBKR's gateway, from gateway_source (`installed`: what is there) or else from IBKR, and a certificate.
install_gateway() {
    local staging code=0
    if [[ $gateway_source == installed ]]; then
        say "gateway: $(as_ibkr "$LINK" gateway info | head -n 1)"
        if ((${#accept[@]})); then note "nothing was installed, so --accept had nothing to accept"; fi
    elif [[ -n $gateway_source ]]; then
        say "gateway: from $gateway_source"
        # Unpacked by the unprivileged user, who may not be able to read it where it lies.
        staging=$(mktemp -d)
        remove_at_exit "$staging"
        stage_gateway "$gateway_source" "$staging"
        as_ibkr "$LINK" gateway install "$staging/$(basename -- "$gateway_source")" "${accept[@]}"
    else
        say "gateway: downloading it from IBKR"
        as_ibkr "$LINK" gateway install --download "${accept[@]}" || code=$?
        if ((code)); then
            die 69 "IBKR's gateway could not be downloaded" "$1"
        fi
    fi
    as_ibkr "$LINK" gateway prepare
}

# gateway_is_installed: does what the services would start lie there?
gateway_is_installed() { as_ibkr "$LINK" gateway info >/dev/null 2>&1; }

# check_configuration: says what has to be corrected before a start; sets is_example and is_right (yes or no).
check_configuration() {
    local said
    is_right=no
    # Nobody has replaced the example's user yet.
    is_example=no
    if grep -qs '"readonlyuser"' "$CONFIG"; then
        is_example=yes
    elif ((${#modes[@]})) || ! as_ibkr "$LINK" config check; then
        note "correct $CONFIG first"
    # Only root can read the password, the secret of the second factor, and the token.
    elif [[ -s $PASSWORD || -s $TOTP || -s $TOKEN ]] && ! said=$("$LINK" config check 2>&1 >/dev/null); then
        printf '%s\n' "$said" >&2
        note "correct that first"
    else
        is_right=yes
    fi
}

# tell_next FIRST_TIME BOOTED: what a person does now, after check_configuration. The last line is what comes next.
tell_next() {
    if [[ $statements_only == yes ]]; then
        note "watch:      journalctl -f -u ibkr-flex"
        note "look:       ibkr-tools status"
        note "be told:    set alerts.command in $CONFIG, see docs/alerts.md"
        note "everything: $INSTALL_COMMAND --with-gateway"
        if [[ $is_example == yes ]]; then
            note "1. put the user name, the account number, and under \"flex\" query and token into $CONFIG (docs/flex.md);"
            note "   the password is not needed: take it out"
            note "2. $INSTALL_COMMAND        (moves the token to a file that only root can read)"
            note "3. sudo ibkr-tools flex check, then sudo ibkr-tools flex fetch --all"
            note "4. sudo systemctl start ibkr-flex.timer"
        fi
    else
        note "watch:      journalctl -f -u 'ibkr-*'"
        note "snapshots, alerts, another user: sudo ibkr-tools setup"
        note "statements: sudo systemctl enable --now ibkr-flex.timer, see docs/flex.md"
        note "no root:    sudo adduser \$USER ibkr && sudo systemctl try-reload-or-restart ibkr-firewall"
        note "            lets that person run 'ibkr-tools fetch'"
    fi
    if [[ $is_example == yes && $statements_only == yes ]]; then
        note "next:       sudoedit $CONFIG"
    elif [[ $is_example == yes || ($1 == yes && $statements_only == no && ! -s $PASSWORD && $is_right == yes) ]]; then
        note "next:       sudo ibkr-tools setup"
    elif [[ $is_right == no ]]; then
        note "next:       sudoedit $CONFIG, then sudo ibkr-tools config check"
    elif [[ $2 == yes ]] && systemctl --quiet is-active "$main_unit"; then
        note "next:       ibkr-tools status"
    elif [[ $1 == yes && $simulator == yes ]]; then
        note "next:       sudo ibkr-tools setup --simulator"
    else
        note "next:       sudo systemctl start ${main_unit%.service}"
    fi
}
