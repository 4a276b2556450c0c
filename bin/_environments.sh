# shellcheck shell=bash disable=SC2034,SC2154  # what is set elsewhere: by _installed.sh, _instance.sh and bin/install
# The environments of the program: the one that is used, and the one before it with everything that belonged to it; sourced
# by bin/install and bin/uninstall after _installed.sh and _instance.sh.

readonly ENVIRONMENTS=$HOME_DIR/environments
# What was installed before: its list, its stamp, the name of its environment, and its files below files/.
readonly PREVIOUS=$HOME_DIR/previous

# is_our_environment LINK: does a link lead to one of our environments, as bin/install makes it?
is_our_environment() { [[ -L $1 && $(readlink -- "$1") =~ ^environments/[A-Za-z0-9]+$ ]]; }

# new_environment: makes a directory for an environment, and prints it.
new_environment() {
    local directory
    install -d -m 0755 "$ENVIRONMENTS"
    directory=$(mktemp -d "$ENVIRONMENTS/XXXXXXXX")
    chmod 0755 "$directory"
    printf '%s\n' "$directory"
}

# use_environment DIRECTORY: has the program be another environment, in one step.
use_environment() {
    local former
    if [[ -d $VENV && ! -L $VENV ]]; then
        # Of a version that knew one environment only.
        former=$(new_environment)
        mv -T -- "$VENV" "$former"
        if [[ -f $KEPT/environment ]]; then printf '%s\n' "${former##*/}" >"$KEPT/environment"; fi
    fi
    ln -sfn "environments/${1##*/}" "$HOME_DIR/.venv.new"
    mv -fT -- "$HOME_DIR/.venv.new" "$VENV"
}

# keep_installed LINES...: copies what is installed now, by its list, and its files; sets KEPT. Nothing is kept of what was
# interrupted half-way: then the version before that stays the one to go back to.
keep_installed() {
    local line
    KEPT=''
    if [[ ! -s $STAMP || ! -x $VENV/bin/ibkr-tools ]]; then return; fi
    rm -rf --one-file-system -- "$HOME_DIR"/.previous.??????
    KEPT=$(mktemp -d "$HOME_DIR/.previous.XXXXXX")
    chmod 0755 "$KEPT"
    for line in "$@"; do
        if [[ $line != */ && -f $line && ! -L $line ]]; then
            install -D -T -m 0644 -- "$line" "$KEPT/files$line"
        fi
    done
    printf '%s\n' "$@" >"$KEPT/manifest"
    cp -- "$STAMP" "$KEPT/installed"
    if [[ -L $VENV ]]; then basename -- "$(readlink -- "$VENV")" >"$KEPT/environment"; else printf '\n' >"$KEPT/environment"; fi
}

# finish_kept: has what keep_installed kept be the version before, and removes environments that nothing uses.
finish_kept() {
    local directory former
    if [[ -n $KEPT ]]; then
        rm -rf --one-file-system -- "$PREVIOUS"
        mv -T -- "$KEPT" "$PREVIOUS"
    fi
    former=$(cat "$PREVIOUS/environment" 2>/dev/null || true)
    for directory in "$ENVIRONMENTS"/*; do
        if [[ -d $directory && $directory != "$ENVIRONMENTS/$former" && ! $directory -ef $VENV ]]; then
            rm -rf --one-file-system -- "$directory"
        fi
    done
}

# require_previous INSTANCES...: refuses a way back that does not exist, or that the state does not allow; sets
# former_environment. The instances are those that there are now.
require_previous() {
    local told name
    if [[ ! -s $PREVIOUS/manifest || ! -s $PREVIOUS/installed || ! -s $PREVIOUS/environment ]]; then
        die 78 "no version before this one is kept on this machine" \
            "One is kept from the first upgrade on. Install from a checkout of the version that you want: sudo ./bin/install"
    fi
    former_environment=$ENVIRONMENTS/$(cat "$PREVIOUS/environment")
    if ! "$former_environment/bin/python" -I -c 'import ibkr_tools.cli' 2>/dev/null; then
        die 78 "the version before does not start any more: $former_environment" \
            "It was made for another Python, perhaps. Install from a checkout of that version: sudo ./bin/install"
    fi
    if (($#)) && [[ ! -f $PREVIOUS/files$UNIT_DIR/ibkr-gateway@.service ]]; then
        die 78 "the version before has no units for the instances: $*" \
            "sudo ./bin/uninstall --instance $1 removes that one and keeps its data; then run this again."
    fi
    # Versions before 0.3 have no such check.
    if ! "$former_environment/bin/python" -I -c 'import ibkr_tools.state_files' 2>/dev/null; then
        note "the version before cannot say whether it reads what is in $STATE_DIR"
        return
    fi
    for name in '' "$@"; do
        use_places "$name"
        if ! told=$(as_service_user env ${name:+IBKR_TOOLS_INSTANCE="$name"} \
            "$former_environment/bin/python" -I -m ibkr_tools.state_files 2>&1); then
            printf '%s\n' "$told" >&2
            die 78 "the version before cannot read what this one has written" \
                "Nothing was changed. Move these files away, if you can do without them; docs/install.md says what each one is."
        fi
    done
    use_places ''
}

# list_previous FOLDER INSTANCES...: sets listed, sources, targets and statements_only to what the version before consists
# of. The instances stay those that there are now: their users and directories are made of that version's, in a FOLDER.
list_previous() {
    local folder=$1 target name kind
    shift
    mapfile -t listed < <(read_manifest "$PREVIOUS/manifest" | grep -vE '/ibkr-tools@[a-z0-9-]+\.conf$')
    statements_only=yes
    for target in "${listed[@]}"; do
        if [[ ! -f $PREVIOUS/files$target ]]; then continue; fi
        sources+=("$PREVIOUS/files$target")
        targets+=("$target")
        if [[ $target == "$UNIT_DIR/ibkr-gateway.service" ]]; then statements_only=no; fi
    done
    for name; do
        for kind in sysusers tmpfiles; do
            target=$LIBRARY/$kind.d/ibkr-tools@$name.conf
            make_user_file "$PREVIOUS/files$LIBRARY/$kind.d/ibkr-tools.conf" "$name" >"$folder/${target##*/}.$kind"
            sources+=("$folder/${target##*/}.$kind")
            targets+=("$target")
            listed+=("$target")
        done
    done
}
