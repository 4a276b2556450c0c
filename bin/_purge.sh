# shellcheck shell=bash disable=SC2154  # what is not set here is set by _installed.sh
# Removes configuration and data as root, who follows no path that anybody else may change; sourced after _installed.sh by
# bin/uninstall, and a part of what the package of Debian does when it is purged. What stays is named, with the reason.

# What ibkr-tools itself puts into its directories. Where such a directory is a link, only this is ours for certain.
readonly CONFIG_NAMES=(config.json password totp flex-token database-password)
readonly STATE_NAMES=(
    gateway login browser snapshots statements history shared alert_history.json alert_history.lock pause.json pause.lock penalty.json .pki .config .cache .local
)

# resolve PATH: prints where PATH leads in the end, which may not exist; fails if anybody but root may change the way.
resolve() {
    local path=/ rest=$1 part count=0
    while [[ -n $rest ]]; do
        while [[ $rest == /* ]]; do rest=${rest#/}; done
        part=${rest%%/*}
        if [[ $rest == */* ]]; then rest=${rest#*/}; else rest=''; fi
        case $part in
            '' | .) continue ;;
            ..) path=$(dirname -- "$path") && continue ;;
        esac
        # What is in a directory is decided by whoever may write it.
        [[ $(stat -c %u -- "$path") == 0 ]] && ((!(8#$(stat -c %a -- "$path") & 8#022))) || return 1
        if [[ -L ${path%/}/$part ]]; then
            ((++count < 40)) || return 1
            part=$(readlink -- "${path%/}/$part")
            if [[ $part == /* ]]; then path=/; fi
            rest=$part/$rest
        else
            path=${path%/}/$part
            if [[ -n ${rest//\//} && ! -d $path ]]; then return 1; fi
        fi
    done
    printf '%s\n' "$path"
}

removed() { note "removed: $(printf %q "$1")"; }

# remove_tree PATH: removes a file, a link or a directory, and never what a link leads to; says so if anything remains.
remove_tree() {
    local rest
    rm -rf --one-file-system -- "$1" 2>/dev/null || true
    if [[ ! -e $1 && ! -L $1 ]]; then return; fi
    if [[ -d $1 ]] && mountpoint -q -- "$1"; then
        rest=$(find "$1" -xdev -mindepth 1 -print -quit)
        left "$1" "another file system is mounted there${rest:+, and could not be emptied}"
    else
        left "$1" "it cannot be removed, or a file system is mounted below it"
    fi
}

# name_targets DIRECTORY: names what links in a directory of ours lead to. They are removed, and what they lead to is not:
# whoever may write the directory may have made them.
name_targets() {
    local link target
    while IFS= read -r -d '' link; do
        if target=$(realpath -e -- "$link" 2>/dev/null) && [[ $target != "$1"/* ]]; then
            left "$target" "where the link $(printf %q "$link") led"
        fi
    done < <(find "$1" -xdev -mindepth 1 -maxdepth 2 -type l -print0 2>/dev/null)
}

# purge_file PATH: removes a file of ours in a directory that only root writes, and the file that it leads to.
purge_file() {
    local target
    if [[ ! -e $1 && ! -L $1 ]]; then return; fi
    if [[ -f $1 ]] && (($(stat -L -c %h -- "$1") > 1)); then
        note "left: another name of the file $(printf %q "$1") ($(stat -L -c 'find %m -xdev -inum %i' -- "$1"))"
    fi
    if [[ -L $1 ]]; then
        # shellcheck disable=SC2310  # an answer, not a failure
        if ! target=$(resolve "$1"); then
            left "$(readlink -- "$1")" "where $(printf %q "$1") led; others may change that way: remove it by hand"
        elif [[ -f $target ]]; then
            remove_tree "$target"
            if [[ ! -e $target ]]; then removed "$target"; fi
        elif [[ -e $target ]]; then
            left "$target" "where $(printf %q "$1") led, and no file"
        fi
    fi
    remove_tree "$1"
}

# purge_directory PATH NAMES...: removes a directory of ours with all that is in it. If PATH is a link, the NAMES in the
# directory that it leads to, and that directory if nothing else is in it.
purge_directory() {
    local path=$1 target=$1 name
    shift
    if [[ ! -e $path && ! -L $path ]]; then return; fi
    if [[ -L $path ]]; then
        # shellcheck disable=SC2310  # an answer, not a failure
        if ! target=$(resolve "$path"); then
            left "$(readlink -- "$path")" "where $(printf %q "$path") led; others may change that way: remove it by hand"
            target=''
        fi
    fi
    if [[ -d $target ]]; then
        name_targets "$target"
        # One by one, since a file system of its own may be mounted on each.
        for name in "$@"; do
            if [[ -e $target/$name || -L $target/$name ]]; then remove_tree "$target/$name"; fi
        done
        if [[ $target == "$path" ]]; then
            remove_tree "$target"
        elif ! rmdir -- "$target" 2>/dev/null; then
            while IFS= read -r -d '' name; do left "$name" "not known to be ours"; done \
                < <(find "$target" -xdev -mindepth 1 -maxdepth 1 -print0)
        fi
        if [[ ! -e $target ]]; then removed "$target"; fi
    elif [[ -n $target && -e $target ]]; then
        left "$target" "not a directory"
    fi
    if [[ -L $path ]]; then rm -f -- "$path"; fi
}

# named_elsewhere PYTHON: the files outside our directories that the configuration names, each as KEY<TAB>PATH.
named_elsewhere() {
    "$1" -I - "$CONFIG" "$CONFIG_DIR" "$STATE_DIR" <<'PYTHON'
import json, os, pathlib, stat, sys

config, *ours = sys.argv[1:]
try:
    fd = os.open(config, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise ValueError("not a file")
    content = json.loads(os.read(fd, 1 << 20).decode("utf-8-sig"))
    keys = ("login.password_file", "login.second_factor.totp_file", "history.password_file", "gateway.directory")
    for key in keys:
        value = content
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if isinstance(value, str) and value and "\0" not in value:
            path = os.path.abspath(os.path.expanduser(value))
            if os.path.lexists(path) and not any(pathlib.PurePath(path).is_relative_to(place) for place in ours):
                print(key, path.encode("unicode_escape").decode(), sep="\t")
except FileNotFoundError:
    pass
except (OSError, ValueError, RecursionError):
    sys.exit(1)
PYTHON
}

# refuse_running HINT: the user cannot go while one of its processes is there; after user_kind.
refuse_running() {
    local running
    if [[ $user != ours ]]; then return; fi
    running=$(processes_of "$uid")
    if [[ -n $running ]]; then die 73 "processes of the user $SERVICE_USER still run: ${running//$'\n'/, }" "$1"; fi
}

# purge_everything UNITS...: removes configuration, data, the drop-ins and masks of these units, and the user; after
# user_kind.
purge_everything() {
    local python elsewhere key path name directory unit group said
    say "configuration, data and user"
    # shellcheck disable=SC2310  # answers, not failures
    if [[ -e $CONFIG ]]; then
        if ! python=$(find_python system) || ! elsewhere=$(named_elsewhere "$python"); then
            left "what $CONFIG names" "it cannot be read as JSON; a password_file or totp_file may be named in it"
        elif [[ -n $elsewhere ]]; then
            while IFS=$'\t' read -r key path; do left "$path" "$key in $CONFIG"; done <<<"$elsewhere"
        fi
    fi
    for name in "${CONFIG_NAMES[@]}"; do
        # Through a link that only root can have made, or can change.
        # shellcheck disable=SC2310  # an answer, not a failure
        if directory=$(resolve "$CONFIG_DIR") && [[ -d $directory ]]; then purge_file "$directory/$name"; fi
    done
    purge_directory "$CONFIG_DIR" "${CONFIG_NAMES[@]}"
    if [[ -s $STATE_DIR/login/login_log.json ]]; then
        note "forgotten: which logins failed in the last 24 hours; IBKR still counts them, so do not try again at once"
    fi
    purge_directory "$STATE_DIR" "${STATE_NAMES[@]}"
    for unit in "$@"; do
        for directory in /etc/systemd/system{,.control}; do
            path=$directory/$unit
            if [[ -L $path.d ]]; then left "$(readlink -- "$path.d")" "where the link $path.d led"; fi
            if [[ -e $path.d || -L $path.d ]]; then remove_tree "$path.d"; fi
            if [[ -L $path && $(readlink -- "$path") == /dev/null ]]; then
                rm -f -- "$path"
            elif [[ -e $path || -L $path ]]; then
                left "$path" "a unit of your own"
            fi
        done
        if [[ $unit == *.timer ]]; then rm -f -- "/var/lib/systemd/timers/stamp-$unit"; fi
    done
    path=/etc/systemd/system/ibkr-.service.d
    if [[ -e $path || -L $path ]]; then left "$path" "for units of your own too"; fi
    case $user in
        ours)
            # It complains of a group with members, which goes below.
            if said=$(userdel "$SERVICE_USER" 2>&1); then
                note "removed: the user $SERVICE_USER"
            else
                left "the user $SERVICE_USER" "userdel refused: $said"
            fi
            if getent group "$SERVICE_USER" >/dev/null && ! groupdel "$SERVICE_USER"; then
                left "the group $SERVICE_USER" "groupdel refused"
            fi
            ;;
        foreign) left "the user $SERVICE_USER" "not the one that bin/install makes" ;;
        none)
            # Left by somebody who removed the user by hand; a person's group has a number of a person's.
            if group=$(getent group "$SERVICE_USER") &&
                { (($(cut -d: -f3 <<<"$group") >= 1000)) || ! groupdel "$SERVICE_USER"; }; then
                left "the group $SERVICE_USER" "not the one that bin/install makes, or in use"
            fi
            ;;
    esac
    if [[ -d /run/systemd/system ]]; then systemctl daemon-reload; fi
}
