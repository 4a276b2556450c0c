# shellcheck shell=bash disable=SC2154  # what is not set here is set by those who source it
# Several IBKR users on one machine; sourced after _installed.sh (and _purge.sh) by bin/install, bin/uninstall and
# ibkr-tools-install, and a part of the maintainer scripts of the package of Debian.
#
# An instance called NAME has the units `ibkr-gateway@NAME.service` and so on, the user `ibkr-NAME` and the directories
# `/etc/ibkr-tools@NAME`, `/run/ibkr-tools@NAME`, `/var/lib/ibkr-tools@NAME`. _templates.sh makes the templates of the plain units,
# which are the only place where anything is said about a unit; ibkr_tools/instance.py has the same names for the program.

# What somebody has set for their own commands is not meant for those of a script.
unset -v IBKR_TOOLS_INSTANCE

# is_instance_name NAME: as ibkr_tools/instance.py says.
is_instance_name() {
    [[ $1 =~ ^[a-z][a-z0-9-]{0,19}$ && $1 != *- && $1 != *--* && $1 != default ]]
}

# require_instance_name NAME: ends with 2 if an instance cannot be called so.
require_instance_name() {
    # shellcheck disable=SC2310  # an answer, not a failure
    if ! LC_ALL=C is_instance_name "$1"; then
        die 2 "--instance: $(printf %q "$1") cannot be the name of an instance" \
            "A small letter, then small letters, digits and single dashes, at most 20 characters, such as anna."
    fi
}

# instances_among LINES...: the names of the instances in the list of what is installed.
instances_among() {
    local line
    for line in "$@"; do
        if [[ $line =~ ^"$USER_FILES"/sysusers\.d/ibkr-tools@([a-z0-9-]+)\.conf$ ]]; then printf '%s\n' "${BASH_REMATCH[1]}"; fi
    done
}

# _for_instance AT: a filter that puts AT (`@%i` in a unit) to every directory and socket of an instance, and takes comments
# away, which are about the plain unit.
_for_instance() {
    sed -E -e '/^#/d' -e "s#/(etc|run|var/lib)/ibkr-tools(-metrics)?#&$1#g" \
        -e "s#/run/ibkr-gateway\\.sock#/run/ibkr-gateway$1.sock#g"
}

# _made_of FILE: the header of what is made.
_made_of() { printf '# Made of %s; part of ibkr-tools, replaced by the next installation: do not edit.\n' "$1"; }

# make_user_file FILE NAME: prints what is made of a file for sysusers.d or tmpfiles.d.
make_user_file() {
    _made_of "$(basename -- "$1")"
    _for_instance "@$2" <"$1" | sed -E -e "s#( )ibkr\\b#\\1ibkr-$2#g"
}

# list_user_files NAME: sets own to the files with the user and the directories of an instance.
list_user_files() { own=("$USER_FILES"/{sysusers,tmpfiles}.d/"ibkr-tools@$1.conf"); }

# put_user_files NAME: installs them, made of those that are installed for the instance without a name, and has user and
# directories made.
put_user_files() {
    local own file kind
    list_user_files "$1"
    for file in "${own[@]}"; do
        kind=${file#"$USER_FILES/"}
        make_user_file "$LIBRARY/${kind%%/*}/ibkr-tools.conf" "$1" | install -D -T -m 0644 -- /dev/stdin "$file"
    done
    systemd-sysusers "${own[0]}"
    systemd-tmpfiles --create "${own[1]}"
}

# instance_units NAME LINES...: the units of an instance, of the templates in a list.
instance_units() {
    local name=$1 unit
    shift
    while IFS= read -r unit; do
        if [[ $unit == *@.* && $unit != ibkr-alert@.service ]]; then printf '%s\n' "${unit/@./@$name.}"; fi
    done < <(units_among "$@")
}

# as_service_user COMMAND...: runs a command as the user of the units.
as_service_user() { as_user "$SERVICE_USER" "$@"; }

# _install_instance_gateway NAME SOURCE ACCEPT...: installs IBKR's gateway for an instance: from SOURCE, else the one that
# is there, else what lies in clientportal/, else the one of the instance without a name, else from IBKR.
_install_instance_gateway() {
    local name=$1 source=$2 staging candidate
    local program=("$LINK" --instance "$1")
    shift 2
    if [[ -z $source ]] && as_service_user "${program[@]}" gateway info >/dev/null 2>&1; then
        say "gateway: $(as_service_user "${program[@]}" gateway info | head -n 1)"
        if (($#)); then note "nothing was installed, so --accept had nothing to accept"; fi
    else
        for candidate in "$CHECKOUT"/clientportal/*.zip "$CHECKOUT"/clientportal/clientportal.gw; do
            if [[ -z $source && -e $candidate ]]; then source=$candidate; fi
        done
        staging=$(mktemp -d)
        remove_at_exit "$staging"
        if [[ -n $source ]]; then
            say "gateway: from $source"
            stage_gateway "$source" "$staging"
            as_service_user "${program[@]}" gateway install "$staging/$(basename -- "$source")" "$@"
        elif as_ibkr_copies_gateway "$staging"; then
            say "gateway: the build of the instance without a name"
            as_service_user "${program[@]}" gateway install "$staging/clientportal.gw" "$@"
        else
            say "gateway: downloading it from IBKR"
            as_service_user "${program[@]}" gateway install --download "$@" ||
                die 69 "IBKR's gateway could not be downloaded" \
                    "$INSTALL_COMMAND --instance $name --gateway clientportal.gw.zip (docs/gateway.md says from where)"
        fi
    fi
    as_service_user "${program[@]}" gateway prepare
}

# as_ibkr_copies_gateway FOLDER: has the user ibkr read the gateway that it runs, and the instance's user write the copy; root
# opens nothing of theirs. What it is, is checked by whoever installs it. Fails if there is none.
as_ibkr_copies_gateway() {
    chown "$SERVICE_USER:" "$1"
    as_user ibkr tar -C /var/lib/ibkr-tools/gateway -cf - clientportal.gw 2>/dev/null |
        as_service_user tar -C "$1" -xf - 2>/dev/null
}

# install_instance NAME GATEWAY ACCEPT...: makes or refreshes an instance, of what is installed here.
install_instance() {
    local name=$1 source=$2 port document said first_time=no is_new=no
    local former=() own=()
    shift 2
    list_user_files "$name"
    use_places "$name"
    mapfile -t former < <(read_manifest)
    if [[ ! -x $VENV/bin/ibkr-tools || ! -e $UNIT_DIR/ibkr-gateway@.service || ! -e $UNIT_DIR/ibkr-gateway.service ]]; then
        die 78 "what every instance shares is not installed here" "$INSTALL_COMMAND, then this again."
    fi
    require_own_user "choose another name"
    port=$("$VENV/bin/python" -I -m ibkr_tools.gateway.instance_ports "$name") || exit
    # shellcheck disable=SC2310  # an answer, not a failure
    if ! is_among "${own[0]}" "${former[@]}"; then first_time=yes; fi

    say "user: $SERVICE_USER"
    write_manifest "${former[@]}" "${own[@]}"
    put_user_files "$name"

    if [[ -e $CONFIG ]]; then
        say "configuration: $CONFIG is kept"
    else
        say "configuration: $CONFIG, from the example, with port $port"
        is_new=yes
        document=$("$VENV/bin/python" -I -m ibkr_tools.gateway.instance_ports "$name" "$CHECKOUT/config.example.json") || exit
        install -m 0640 -g "$SERVICE_USER" /dev/stdin "$CONFIG" <<<"$document"
    fi
    if [[ ! -e $PASSWORD && ! -L $PASSWORD ]]; then install -m 0600 /dev/null "$PASSWORD"; fi
    "$LINK" --instance "$name" config adopt-password ||
        warn "a password in $CONFIG was not moved to $PASSWORD; whoever reads that file has it"
    "$LINK" --instance "$name" config adopt-token ||
        warn "a token in $CONFIG was not moved to $TOKEN; whoever reads that file has it"
    # Modes, also of files that were here before.
    systemd-tmpfiles --create "${own[1]}"

    _install_instance_gateway "$name" "$source" "$@"

    if [[ $first_time == yes ]]; then
        say "at boot: ibkr-gateway@$name is enabled"
        systemctl --quiet enable "ibkr-gateway@$name.service"
    fi
    say "installed"
    if ! as_service_user "$LINK" --instance "$name" config check; then
        note "correct $CONFIG first"
    elif [[ -s $PASSWORD || -s $TOTP || -s $TOKEN ]] && ! said=$("$LINK" --instance "$name" config check 2>&1 >/dev/null); then
        printf '%s\n' "$said" >&2
        note "correct that first"
    fi
    if [[ $is_new == yes ]]; then
        note "next:       sudo ibkr-tools --instance $name setup        (asks what is needed, and starts everything)"
    elif [[ $first_time == yes ]]; then
        note "start:      sudo systemctl start ibkr-gateway@$name"
    fi
    note "watch:      journalctl -f -u 'ibkr-*@$name'"
    note "look:       ibkr-tools --instance $name status"
    note "no root:    sudo adduser \$USER $SERVICE_USER && sudo systemctl try-reload-or-restart ibkr-firewall@$name"
}

# uninstall_instance NAME PURGE: stops and removes an instance; its configuration and data only if PURGE is yes.
uninstall_instance() {
    local name=$1 purge=$2 unit units=() listed=() rest=() own=()
    list_user_files "$name"
    use_places "$name"
    mapfile -t listed < <(read_manifest)
    if [[ ! -e ${own[0]} && ! -e $CONFIG_DIR && ! -e $STATE_DIR ]]; then
        mapfile -t rest < <(instances_among "${listed[@]}")
        die 2 "there is no instance $name on this machine" "There: ${rest[*]:-none}."
    fi
    mapfile -t units < <(instance_units "$name" "${listed[@]}")
    say "units of $name: stopped, disabled"
    stop_units "${units[@]}"
    user_kind
    if [[ $purge == yes ]]; then refuse_running "Nothing was removed, the units are stopped. End them, then run this again."; fi
    remove_listed "${own[@]}"
    mapfile -t rest < <(printf '%s\n' "${listed[@]}" | grep -vxF -- "${own[0]}" | grep -vxF -- "${own[1]}")
    if ((${#listed[@]})); then write_manifest "${rest[@]}"; fi
    for unit in "${units[@]}"; do systemctl reset-failed "$unit" 2>/dev/null || true; done
    remove_tree "$RUNTIME_DIR"
    remove_tree "$METRICS_DIR"
    if [[ $purge == yes ]]; then
        purge_everything "${units[@]}"
    else
        say "kept: $CONFIG_DIR, $STATE_DIR, the user $SERVICE_USER ($UNINSTALL_COMMAND --instance $name --purge removes them)"
    fi
}
