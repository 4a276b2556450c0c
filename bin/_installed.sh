# shellcheck shell=bash disable=SC2034  # what is set here is used by those who source it
# Where an installation is, and the list of what it consists of; sourced after _common.sh.

readonly PACKAGE_HOME=/usr/lib/ibkr-tools
readonly SANDBOX=10-sandbox.conf

# use_places [NAME]: the user and the directories of an instance, or of the one without a name; as ibkr_tools/instance.py.
use_places() {
    local at=${1:+@$1}
    SERVICE_USER=ibkr${1:+-$1}
    CONFIG_DIR=/etc/ibkr-tools$at
    CONFIG=$CONFIG_DIR/config.json
    PASSWORD=$CONFIG_DIR/password
    TOTP=$CONFIG_DIR/totp
    TOKEN=$CONFIG_DIR/flex-token
    STATE_DIR=/var/lib/ibkr-tools$at
    RUNTIME_DIR=/run/ibkr-tools$at
    METRICS_DIR=/run/ibkr-tools-metrics$at
}
use_places ''

# use_layout local|package: sets where the program and its units are, and below which folder the users and directories of
# instances. bin/install puts them where the administrator's own
# are, a package of Debian where Debian's policy has those of packages; they are the same files.
use_layout() {
    case $1 in
        local)
            HOME_DIR=/opt/ibkr-tools
            LINK=/usr/local/bin/ibkr-tools
            LIBRARY=/usr/local/lib
            SHARE=/usr/local/share
            USER_FILES=$LIBRARY
            INSTALL_COMMAND='sudo ./bin/install'
            UNINSTALL_COMMAND='sudo ./bin/uninstall'
            ;;
        package)
            HOME_DIR=$PACKAGE_HOME
            LINK=/usr/bin/ibkr-tools
            LIBRARY=/usr/lib
            SHARE=/usr/share
            # Below /usr/lib everything is a package's.
            USER_FILES=/etc
            INSTALL_COMMAND='sudo ibkr-tools-install'
            UNINSTALL_COMMAND='sudo ibkr-tools-install --remove'
            ;;
    esac
    VENV=$HOME_DIR/venv
    STAMP=$HOME_DIR/installed
    # There from the first step of a first installation to its last: one that was interrupted is still a first one.
    FIRST=$HOME_DIR/first-installation
    # Chrome for Testing: a directory for each version, and a link to the one in use. Not on any list of files, dpkg's either.
    CHROME_HOME=$HOME_DIR/chrome-for-testing
    UNIT_DIR=$LIBRARY/systemd/system
    # One path a line: every file and link that bin/install has put outside /opt/ibkr-tools, and with a slash at its end
    # every directory that it had to make for them. bin/uninstall removes these and no others.
    MANIFEST=$HOME_DIR/manifest
}
use_layout local

# put_file SOURCE TARGET [ROOT]: installs a file of systemd/, which names the program where bin/install has it.
put_file() {
    install -D -T -m 0644 -- "$1" "${3:-}$2"
    if [[ $HOME_DIR != /opt/ibkr-tools ]]; then sed -i "s|/opt/ibkr-tools|$HOME_DIR|g" "${3:-}$2"; fi
}

# stage_environment PYTHON DIRECTORY LOCK [PIP OPTIONS...]: makes the virtual environment of the program: what a lock file
# lists and the program itself, nothing that only builds or installs. It is made anew for each version, never changed.
stage_environment() {
    local packages kept=none
    "$1" -I -m venv --clear "$2"
    install_locked_or_die "$2" "$3" "${@:4}"
    install_checkout "$2"
    remove_builders "$2" "$3"
    isolate_script "$2/bin/ibkr-tools"
    remove_installer "$2"
    # Python 3.13 takes an environment for a part of somebody's repository.
    rm -f -- "$2/.gitignore"
    # Selenium Manager, a program each for five machines. Here it is for _browser.sh alone, which can have it download Chrome
    # for Testing; Google has that for this one processor.
    if [[ $(uname -m) == x86_64 ]]; then kept=linux-x86_64; fi
    for packages in "$2"/lib/python3*/site-packages; do
        find "$packages/selenium/webdriver/common" -mindepth 2 -name 'selenium-manager*' ! -path "*/$kept/*" -delete
        sed -i "\\|/selenium-manager|{\\|/$kept/|!d}" "$packages"/selenium-*.dist-info/RECORD
    done
}

# refuse_package: a package of Debian and an installation by the scripts exclude each other on a machine.
refuse_package() {
    if [[ -e $PACKAGE_HOME/venv ]]; then
        die 78 "ibkr-tools is installed on this machine as a package of Debian" "$1"
    fi
}

# shipped_files SYSTEMD_VERSION [FOLDER]: what of the checkout's systemd/, and of a FOLDER made like it, belongs on a
# machine with that version, one file a line, as SOURCE<TAB>TARGET.
shipped_files() {
    local folder path target
    while IFS=$'\t' read -r folder path; do
        case $path in
            sysusers.d/* | tmpfiles.d/*) target=$LIBRARY/$path ;;
            since-*/*)
                target=${path#since-}
                if ((${target%%/*} > $1)); then continue; fi
                target=$UNIT_DIR/${target#*/}
                ;;
            *) target=$UNIT_DIR/$path ;;
        esac
        printf '%s\t%s\n' "$folder/$path" "$target"
    done < <(find "$CHECKOUT/systemd" ${2:+"$2"} -type f -regextype posix-extended \
        -regex '.*/[a-z0-9@.-]+\.(service|path|timer|socket|conf)' -printf '%H\t%P\n' | LC_ALL=C sort)
}

# make_pages ENVIRONMENT: makes man pages and completion scripts in a new environment, of the program that is in it.
make_pages() {
    install -d -m 0755 "$1/pages"
    "$1/bin/python" -I -m ibkr_tools.cli.pages "$1/pages" >/dev/null
}

# shipped_pages ENVIRONMENT: the man pages and completion scripts that were made in an environment, one file a line, as
# SOURCE<TAB>TARGET.
shipped_pages() {
    local path
    if [[ ! -d $1/pages ]]; then return; fi
    while IFS= read -r path; do
        printf '%s\t%s\n' "$1/pages/$path" "${SHARE%/share}/$path"
    done < <(find "$1/pages" -type f -printf '%P\n' | LC_ALL=C sort)
}

# named_pages: what there is with the names of our man pages and completion scripts, one path a line.
named_pages() {
    compgen -G "$SHARE/man/man[157]/ibkr-tools*.[157]" || true
    local path
    for path in "$SHARE"/{bash-completion/completions/ibkr-tools,zsh/site-functions/_ibkr-tools} \
        "$SHARE/fish/vendor_completions.d/ibkr-tools.fish"; do
        if [[ -e $path ]]; then printf '%s\n' "$path"; fi
    done
}

# is_foreign PATH: is there something that only has the name of one of our files? Each of them says whose it is.
is_foreign() { [[ -e $1 || -L $1 ]] && ! grep -qsE 'ibkr-tools/ibkr-tools|of ibkr-tools' "$1"; }

# is_place PATH: could bin/install have put something there? A damaged list must not lead anywhere else.
is_place() {
    if [[ $1 =~ (^|/)\.\.?(/|$) ]]; then return 1; fi
    [[ $1 == "$LINK" || $1 =~ ^"$LIBRARY"/[A-Za-z0-9@._/-]+$ ]] ||
        # Directories there are everybody's: of files only those with our name.
        [[ $1 =~ ^"$SHARE"/(man|bash-completion|zsh|fish)/([A-Za-z0-9._/-]*/)?([A-Za-z0-9._-]*ibkr-tools[A-Za-z0-9._-]*)?$ ]]
}

# read_manifest [FILE]: prints the list; fails if there is none, or none that only root has written. That of a package is
# dpkg's, and the files that were made for instances beside it.
read_manifest() {
    local line list=${1:-$MANIFEST}
    if [[ $HOME_DIR == "$PACKAGE_HOME" ]]; then
        dpkg-query --listfiles ibkr-tools 2>/dev/null || true
        compgen -G "$USER_FILES/[st]*.d/ibkr-tools@*.conf" || true
        return
    fi
    [[ -f $list && ! -L $list && -s $list ]] || return 1
    [[ $(stat -c %u "$list") == 0 ]] && ((!(0$(stat -c %a "$list") & 022))) || return 1
    while IFS= read -r line; do
        # shellcheck disable=SC2310  # an answer, not a failure
        if is_place "$line"; then
            printf '%s\n' "$line"
        else
            warn "$list: $(printf %q "$line") is no place of ours and stays"
        fi
    done <"$list"
}

# write_manifest LINES...: in one step, before the first file comes and again after the last one. A package needs none.
write_manifest() {
    local fresh
    if [[ $HOME_DIR == "$PACKAGE_HOME" ]]; then return; fi
    fresh=$(mktemp "$HOME_DIR/.manifest.XXXXXX")
    printf '%s\n' "$@" | LC_ALL=C sort -u >"$fresh"
    chmod 0644 "$fresh"
    sync "$fresh"
    mv -f -- "$fresh" "$MANIFEST"
}

# is_among LINE LINES...: is it one of them? `| grep -q` would not do: it leaves at the first match, and who still writes to
# it fails then, which pipefail takes for no match.
is_among() {
    local line
    for line in "${@:2}"; do
        if [[ $line == "$1" ]]; then return 0; fi
    done
    return 1
}

# is_above DIRECTORY/ LINES...: does one of them begin with it?
is_above() {
    local line
    for line in "${@:2}"; do
        if [[ $line == "$1"* ]]; then return 0; fi
    done
    return 1
}

# other_services LINES...: the services of other people on this machine that the sandbox of ours applies to by their names:
# in no list of ours, and not exempted from it.
other_services() {
    local path name
    for path in {/etc/systemd/system,"$UNIT_DIR",/usr/lib/systemd/system}/ibkr-*.service; do
        name=${path##*/}
        # shellcheck disable=SC2310  # an answer, not a failure
        if [[ -f $path && ! -e /etc/systemd/system/$name.d/$SANDBOX ]] && ! is_among "$UNIT_DIR/$name" "$@"; then
            printf '%s\n' "$name"
        fi
    done | LC_ALL=C sort -u
}

# units_among LINES...: the names of the units in a list, templates too.
units_among() {
    local line
    for line in "$@"; do
        if [[ $line == "$UNIT_DIR"/*.@(service|path|timer|socket) && ${line#"$UNIT_DIR/"} != */* ]]; then
            printf '%s\n' "${line##*/}"
        fi
    done
}

# halt_units NAMES...: stops them. What was made of a template is stopped, which itself cannot be.
halt_units() {
    local unit
    # The gateway first: everything else goes down with it, in order. What is not there any more cannot be stopped.
    for unit in "$@"; do
        if [[ $unit == ibkr-gateway?(@*).service ]]; then systemctl stop "${unit/@./@*.}" 2>/dev/null || true; fi
    done
    systemctl stop "${@/@./@*.}" 2>/dev/null || true
    for unit in "${@/@./@*.}"; do
        if systemctl --quiet is-active "$unit" 2>/dev/null; then
            die 73 "$unit could not be stopped" "systemctl status '$unit'"
        fi
    done
}

# stop_units NAMES...: stops and disables them.
stop_units() {
    local unit
    if (($# == 0)); then return; fi
    if [[ -d /run/systemd/system ]]; then halt_units "$@"; fi
    # One by one: a file that is missing would keep all of them enabled.
    for unit in "$@"; do systemctl --quiet disable "$unit" 2>/dev/null || true; done
}

# remove_listed LINES...: removes the files of a list, then the directories of it that are empty now. Whatever else is in
# them is somebody's own; in a directory for drop-ins it is named.
remove_listed() {
    local line other
    for line in "$@"; do
        if [[ $line == */ || ! (-e $line || -L $line) ]]; then continue; fi
        if [[ $line == "$LINK" && ! (-L $line && $(readlink -- "$line") == "$VENV"/*) ]]; then
            left "$line" "not the link that was installed"
        elif [[ -d $line && ! -L $line ]]; then
            left "$line" "a directory now"
        else
            rm -f -- "$line"
        fi
    done
    while IFS= read -r line; do
        if [[ $line != */ || ! -d $line || -L ${line%/} ]]; then continue; fi
        rmdir --ignore-fail-on-non-empty -- "$line" 2>/dev/null || true
        if [[ $line == "$UNIT_DIR"/ibkr-*.d/ && -d $line ]]; then
            while IFS= read -r -d '' other; do left "$other" "not ours"; done < <(find "$line" -mindepth 1 -print0)
        fi
    done < <(printf '%s\n' "$@" | LC_ALL=C sort -r)
}

# left PATH WHY: says that something stays; its name may be anybody's.
left() { note "left: $(printf %q "$1") ($2)"; }

# user_kind: sets user to `ours`, `foreign` or `none`, and uid and home where there is one. Ours is as sysusers.d makes it; a
# person, or another program, may have that name on a machine where nothing was installed.
user_kind() {
    local account
    user=none
    if account=$(getent passwd "$SERVICE_USER"); then
        IFS=: read -r _ _ uid _ _ home _ <<<"$account"
        if ((uid > 0 && uid < 1000)) && [[ $home == "$STATE_DIR" ]]; then user=ours; else user=foreign; fi
    fi
}

# require_own_user [HINT]: ends with 73 if the user of the services, or its group, would be somebody else's: systemd-sysusers
# takes what is there.
require_own_user() {
    local user uid home
    user_kind
    if [[ $user == foreign ]]; then
        die 73 "there is a user $SERVICE_USER on this machine that is none of ibkr-tools (number $uid, home $home)" \
            "The services need that name for a system user of their own${1:+: $1}."
    fi
    if [[ $user == none ]] && getent group "$SERVICE_USER" >/dev/null; then
        die 73 "there is a group $SERVICE_USER on this machine, and no user of that name" \
            "Its members would have rights here. If nobody needs it: sudo groupdel $SERVICE_USER${1:+; else $1}."
    fi
}

# processes_of UID [live]: the processes that run as a user, as NUMBER (NAME); with `live` those alone that can do something
# still. /proc says who owns a directory, which is root where a process may not be dumped; its file says who runs it. A
# process gives itself any name, and this one goes to root's terminal.
processes_of() {
    # One that ends meanwhile is not there any more.
    { LC_ALL=C cat /proc/[0-9]*/status 2>/dev/null || true; } | LC_ALL=C awk -v uid="$1" -v live="${2:-}" '
        /^Name:/ {name = $2; gsub(/[^!-~]/, "?", name)} /^State:/ {state = $2} /^Pid:/ {pid = $2}
        /^Uid:/ && ($2 == uid || $3 == uid) && !(live && state ~ /[XZ]/) {print pid " (" name ")"}'
}

# as_user USER COMMAND...: runs a command as a user of units, in a session of its own: whoever has taken over that user could
# type into root's terminal by a process that has it (TIOCSTI, ioctl_tty(2)). Ctrl-C ends the command all the same.
as_user() {
    local child code=0
    setsid runuser -u "$1" -- env -C / HOME="$STATE_DIR" "${@:2}" <&0 &
    child=$!
    trap 'kill "$child" 2>/dev/null; exit 130' INT
    wait "$child" || code=$?
    trap - INT
    return "$code"
}

# stage_gateway SOURCE DIRECTORY: copies what was named as IBKR's gateway for the user of the units to read. The copy is
# root's, so nobody else can exchange anything in it; and only that user's to read, since whoever may write where SOURCE lies
# decides what root copies.
stage_gateway() {
    cp -R -H -- "$1" "$2/"
    chgrp -hR "$SERVICE_USER" "$2"
    chmod -R u=rwX,g=rX,o= "$2"
}
