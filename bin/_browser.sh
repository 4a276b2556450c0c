# shellcheck shell=bash disable=SC2154  # what is not set here is set by _installed.sh and those who source it
# The browser of the logins: the distribution's Chromium, or Chrome for Testing from Google, downloaded when it is asked for;
# sourced after _installed.sh by bin/install, bin/uninstall, bin/_package.sh and ibkr-tools-install, and a part of a maintainer
# script of the package of Debian. Whoever sources it to install sets browser (chrome-for-testing, system, or nothing) and
# statements_only (yes or no).
#
# Below CHROME_HOME each version is a directory of root with the browser (chrome/), its driver (chromedriver), and the
# hashes of all files (SHA256SUMS), which `ibkr-tools doctor` checks; the link `current` leads to the one that logins use.
# ibkr_tools/login/chrome_for_testing.py has the same names for the program.

# What downloads, and what was downloaded, runs as a user that nothing else runs as: no account, and between the numbers
# that Debian and systemd give out (https://systemd.io/UIDS-GIDS).
FETCH_UID=61183
# For each of the downloads, in seconds.
readonly FETCH_TIMEOUT_S=1200
USERNS_SETTING=/proc/sys/kernel/apparmor_restrict_unprivileged_userns
CHROME_PROFILE=/etc/apparmor.d/ibkr-tools-chrome
OS_RELEASE=/etc/os-release

# current_chrome: prints the version that logins use; nothing if there is none.
current_chrome() {
    local version
    if [[ -L $CHROME_HOME/current ]] && version=$(readlink -- "$CHROME_HOME/current") && [[ $version =~ ^[0-9.]+$ ]]; then
        printf '%s\n' "$version"
    fi
}

# require_browser_name NAME: ends with 2 if there is no such browser.
require_browser_name() {
    if [[ $1 != chrome-for-testing && $1 != system ]]; then
        die 2 "--browser: chrome-for-testing or system" "${INSTALL_COMMAND#sudo } --help"
    fi
}

# choose_browser: sets browser where nothing was asked for: what was chosen before stays. Refuses what cannot be had here.
choose_browser() {
    local processor
    if [[ $statements_only == yes ]]; then
        if [[ -n $browser ]]; then die 2 "--browser: statements need none" "${INSTALL_COMMAND#sudo } --help"; fi
        browser=none
    elif [[ -z $browser ]]; then
        browser=system
        if [[ -L $CHROME_HOME/current ]]; then browser=chrome-for-testing; fi
    fi
    processor=$(uname -m)
    if [[ $browser == chrome-for-testing && $processor != x86_64 ]]; then
        die 69 "Google has no Chrome for Testing for this processor ($processor)" \
            "Debian and Raspberry Pi OS have Chromium for it: sudo apt-get install chromium chromium-driver"
    fi
}

# has_browser: does a browser of the system exist that a service can run? Ubuntu's chromium is a script that starts a snap.
has_browser() { [[ -x /usr/lib/chromium/chromium || -x /opt/google/chrome/chrome ]]; }

# missing_browser_packages: what apt-get has to install for the browser that was chosen, one name a line.
missing_browser_packages() {
    case $browser in
        system)
            # shellcheck disable=SC2310  # an answer, not a failure
            has_browser || printf 'chromium\n'
            has chromedriver || printf 'chromium-driver\n'
            ;;
        # Its libraries are looked for when it is there; without any font it draws no text.
        chrome-for-testing) [[ -d /usr/share/fonts/truetype ]] || printf 'fonts-liberation\n' ;;
        *) ;;
    esac
}

# is_ubuntu: its packages that are named like Chromium bring a snap, which is of no use to a service.
is_ubuntu() {
    # shellcheck source=/dev/null
    [[ $(. "$OS_RELEASE" && printf '%s' "${ID:-}") == ubuntu ]]
}

# recommended_browser: what a package that is built on this release recommends, as a field of Debian's control files. apt
# installs what is recommended, and on Ubuntu that would be the snap.
recommended_browser() {
    # shellcheck disable=SC2310  # an answer, not a failure
    if is_ubuntu; then printf 'fonts-liberation\n'; else printf 'chromium | google-chrome-stable, chromium-driver\n'; fi
}

# refuse_snap PACKAGES...: ends with 69 if Ubuntu's snap is among what is to be installed.
refuse_snap() {
    # shellcheck disable=SC2310  # an answer, not a failure
    if [[ " $* " == *" chromium"* ]] && is_ubuntu; then
        die 69 "Ubuntu's Chromium is a snap, and a snap cannot run inside a service's sandbox" \
            "$INSTALL_COMMAND --browser chrome-for-testing downloads a browser from Google (docs/install.md)"
    fi
}

# as_fetcher COMMAND...: runs a program, named by its path, as the user that downloads, with no right and no variable but
# those that lead to the network. Not by `env`: a proxy's address may have a password in it, and arguments are everybody's.
# In a session of its own: a program that has root's terminal can type into it (TIOCSTI, ioctl_tty(2)).
as_fetcher() (
    local name
    cd /
    while IFS= read -r name; do
        case $name in
            http_proxy | https_proxy | all_proxy | no_proxy | HTTP_PROXY | HTTPS_PROXY | ALL_PROXY | NO_PROXY) ;;
            SE_PROXY | SE_BROWSER_MIRROR_URL | SE_DRIVER_MIRROR_URL | SSL_CERT_FILE | SSL_CERT_DIR) ;;
            # The names of variables of bash itself stay as they are for it.
            *) export -n "${name?}" ;;
        esac
    done < <(compgen -e)
    # Nothing on PATH is to be asked for its version, which Selenium Manager would do with a chromedriver.
    export PATH=/nonexistent HOME=/nonexistent LC_ALL=C.UTF-8
    exec /usr/bin/setsid --wait /usr/bin/setpriv --reuid="$FETCH_UID" --regid="$FETCH_UID" --clear-groups --no-new-privs --inh-caps=-all \
        --bounding-set=-all "$@" </dev/null
)

# end_fetchers: ends whatever runs as the user that downloads: it could change what is looked at, or the next download.
end_fetchers() {
    local count
    for ((count = 0; count < 50; count++)); do
        if [[ -z $(processes_of "$FETCH_UID" live) ]]; then return; fi
        # All of them in one step of the kernel: none has the time to start another one.
        as_fetcher /bin/bash -c 'kill -KILL -1' 2>/dev/null || true
        sleep 0.1
    done
    die 73 "what was downloaded runs, and cannot be ended: $(processes_of "$FETCH_UID" live | paste -sd ' ')" \
        "Nothing of it is used. End these processes, then run this again."
}

# _said COMMAND...: runs a program that was downloaded, a minute at most, and prints what it has said when nothing of it runs
# any more. In a file: who waits for the end of a pipe waits for whatever the program has left behind.
_said() {
    local file code=0
    file=$(mktemp)
    # shellcheck disable=SC2310  # an answer, not a failure
    (ulimit -f 1024 && as_fetcher /usr/bin/timeout 60 "$@") >"$file" 2>/dev/null || code=$?
    end_fetchers
    tr -d '\0' <"$file"
    rm -f -- "$file"
    return "$code"
}

# chrome_is_whole DIRECTORY: are all files of a version those that were noted, and no others there?
chrome_is_whole() {
    (
        cd -- "$1" 2>/dev/null || exit
        sha256sum --check --strict --status SHA256SUMS 2>/dev/null &&
            cmp -s <(cut -c67- SHA256SUMS) <(find chrome chromedriver -type f | LC_ALL=C sort)
    )
}

# _keep_chrome WHY HINT: there is no new version; the one that is there stays in use. Without one, this is the end.
_keep_chrome() {
    local former
    former=$(current_chrome)
    # shellcheck disable=SC2310  # an answer, not a failure
    if [[ -z $former ]] || ! chrome_is_whole "$CHROME_HOME/$former"; then die 69 "$1" "$2"; fi
    warn "$1; Chrome for Testing $former stays"
}

# _ask_manager ENVIRONMENT CACHE: has Selenium Manager download the newest stable version into a directory. Prints how that
# ended (0: well), a line that says why it failed, the browser's path and the driver's.
_ask_manager() {
    local managers=("$1"/lib/python3*/site-packages/selenium/webdriver/common/linux-x86_64/selenium-manager)
    # shellcheck disable=SC2310  # it ends with a code that its answer has too
    { as_fetcher "${managers[0]}" --browser chrome --browser-version stable --force-browser-download \
        --skip-browser-in-path --skip-driver-in-path --avoid-stats --cache-path "$2" --timeout "$FETCH_TIMEOUT_S" \
        --output JSON 2>/dev/null || true; } | "$1/bin/python" -I -c '
import json, sys
try:
    result = json.load(sys.stdin)["result"]
    told = [str(result["code"]), result["message"], result["browser_path"], result["driver_path"]]
except (ValueError, KeyError, TypeError):
    told = ["70", "Selenium Manager gives no answer", "", ""]
told[1] = " ".join(told[1].replace("Caused by:", "").split())[:300]
print(*("".join(c for c in line if c.isprintable()) for line in told), sep="\n")'
}

# _take_over CACHE VERSION TREE: puts what Selenium Manager has unpacked into a directory of root. Fails if there is
# anything but files and directories with ordinary names.
_take_over() {
    local strange
    # From here on nobody else finds a way into it.
    chown root:root "$1" && chmod 0700 "$1" || return
    strange=$(find "$1" \( ! -type f ! -type d \) -print -o -type f -links +1 -print -o \
        -regextype posix-extended ! -regex '[A-Za-z0-9._/@+ -]+' -print -quit)
    if [[ -n $strange ]]; then return 1; fi
    # No file keeps a set-user-ID bit: Chrome's sandbox is made of user namespaces here.
    install -d -m 0755 "$3" && mv -T -- "$1/chrome/linux64/$2" "$3/chrome" &&
        mv -T -- "$1/chromedriver/linux64/$2/chromedriver" "$3/chromedriver" &&
        chown -hR root:root "$3" && chmod -R u=rwX,go=rX "$3" || return
    (cd -- "$3" && find chrome chromedriver -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum >SHA256SUMS)
}

# _missing_libraries TREE: the libraries that browser and driver want and that are not there, on one line.
_missing_libraries() {
    # shellcheck disable=SC2310  # a script has none
    { _said /usr/bin/ldd "$1/chrome/chrome" "$1/chromedriver" || true; } |
        sed -n 's/^[[:space:]]*\([^ ]*\) => not found.*/\1/p' | LC_ALL=C sort -u | paste -sd ' '
}

# _install_libraries TREE: has apt-get install the libraries that Google's list for Debian (deb.deps) names, where one is
# missing. Programs on that list, such as wget, are for a desktop. It is a part of what was downloaded: nothing else is
# installed for it, and nothing removed.
_install_libraries() {
    local wanted library
    if [[ -z $(_missing_libraries "$1") || ! -f $1/chrome/deb.deps ]] || ! has apt-get; then return; fi
    library='(lib|fonts-)[a-z0-9.+-]*[a-z0-9.+](:any)?( \([<>=]+ [A-Za-z0-9.+~:-]+\))?'
    wanted=$({ grep -xE "$library( \| $library)*" "$1/chrome/deb.deps" || true; } | paste -sd ,)
    if [[ -z $wanted ]]; then return; fi
    say "packages: what Chrome for Testing needs"
    export DEBIAN_FRONTEND=noninteractive
    if ! apt-get -qq update || ! apt-get -qq satisfy --no-install-recommends --no-remove -y "$wanted" >/dev/null; then
        warn "apt-get could not install all of it; what it says stands above"
    fi
}

# fetch_chrome ENVIRONMENT: downloads the newest stable version, if that was chosen and is not there; with Selenium Manager of
# an environment of the program. Sets staged to its directory and staged_version, or both to nothing. Logins use it after
# use_browser. This is the only step in which the installation talks to Google.
fetch_chrome() {
    local former work cache version told answer program
    local network="Try again with a network; through a proxy: sudo HTTPS_PROXY=http://HOST:PORT ${INSTALL_COMMAND#sudo } --browser chrome-for-testing"
    local refused="Nothing of it is used. Try again later; the mirror in SE_BROWSER_MIRROR_URL may be wrong, if there is one."
    staged='' staged_version=''
    if [[ $browser != chrome-for-testing ]]; then return; fi
    say "browser: asking Google for the newest Chrome for Testing"
    former=$(current_chrome)
    # shellcheck disable=SC2310  # an answer, not a failure
    if [[ -n $former ]] && ! chrome_is_whole "$CHROME_HOME/$former"; then
        warn "$CHROME_HOME/$former is not what was installed: it is fetched again"
        former=''
    fi
    # Not in /tmp, which may be memory.
    # Of a download that was interrupted.
    end_fetchers
    work=$(mktemp -d "$HOME_DIR/.chrome.XXXXXX")
    remove_at_exit "$work"
    chmod 0711 "$work"
    cache=$work/cache
    install -d -m 0700 "$cache"
    if [[ -n $former ]]; then
        # Selenium Manager leaves alone a version that its cache has.
        install -D /dev/null "$cache/chrome/linux64/$former/chrome"
        install -D /dev/null "$cache/chromedriver/linux64/$former/chromedriver"
    fi
    chown -R "$FETCH_UID:$FETCH_UID" "$cache"
    mapfile -t answer < <(_ask_manager "$1" "$cache")
    end_fetchers
    if [[ ${answer[0]:-} != 0 ]]; then
        _keep_chrome "Chrome for Testing could not be downloaded: ${answer[1]:-Selenium Manager does not run}" "$network"
        return
    fi
    version=$(basename -- "$(dirname -- "${answer[2]}")")
    if [[ ! $version =~ ^[0-9]+(\.[0-9]+){3}$ || ${answer[2]} != "$cache/chrome/linux64/$version/chrome" ||
        ${answer[3]} != "$cache/chromedriver/linux64/$version/chromedriver" ]]; then
        _keep_chrome "what was downloaded is no browser and driver of one version" "$refused"
        return
    fi
    if [[ -n $former && $(printf '%s\n' "$former" "$version" | sort -V | tail -n 1) == "$former" ]]; then
        note "Chrome for Testing $former is the newest"
        return
    fi
    # shellcheck disable=SC2310  # an answer; what can fail before that ends the function itself
    if ! _take_over "$cache" "$version" "$work/tree"; then
        _keep_chrome "what was downloaded is more, or less, than ordinary files of a browser and its driver" "$refused"
        return
    fi
    _install_libraries "$work/tree"
    told=$(_missing_libraries "$work/tree")
    if [[ -n $told ]]; then
        _keep_chrome "Chrome for Testing $version lacks libraries on this machine: $told" \
            "Install the packages that have them, then run this again; https://packages.ubuntu.com finds a package by its file."
        return
    fi
    for program in chrome/chrome chromedriver; do
        # shellcheck disable=SC2310  # says nothing then, which is no version
        told=$(_said "$work/tree/$program" --version) || told=''
        if [[ " $told " != *" $version "* ]]; then
            _keep_chrome "what was downloaded as ${program##*/} $version does not start, or is another version" "$refused"
            return
        fi
    done
    end_fetchers
    staged=$work/tree
    staged_version=$version
}

# use_browser: has logins use what fetch_chrome has brought, in one step, or the system's browser again. Former versions go,
# unless a login runs.
use_browser() {
    if [[ $browser == system ]]; then
        if [[ ! -d $CHROME_HOME ]]; then return; fi
        say "browser: the system's; Chrome for Testing is removed"
        rm -f -- "$CHROME_HOME/current"
        _remove_profile
    elif [[ $browser == chrome-for-testing ]]; then
        if [[ -n $staged ]]; then
            say "browser: Chrome for Testing $staged_version, in $CHROME_HOME"
            install -d -m 0755 "$CHROME_HOME"
            if [[ -e $CHROME_HOME/$staged_version ]]; then mv -T -- "$CHROME_HOME/$staged_version" "${staged%/*}/changed"; fi
            mv -T -- "$staged" "$CHROME_HOME/$staged_version"
            ln -sfn "$staged_version" "$CHROME_HOME/.current.new"
            mv -fT -- "$CHROME_HOME/.current.new" "$CHROME_HOME/current"
        fi
        _permit_namespaces
    fi
    _remove_former_chromes
}

# _is_in_use DIRECTORY: does a login run that uses, or may be about to use, this version?
_is_in_use() {
    [[ -n $(find /proc/[0-9]*/exe -maxdepth 0 -lname "$1/*" -print -quit 2>/dev/null || true) ]] ||
        [[ -d /run/systemd/system && -n $(systemctl list-units --no-legend --plain --state=activating 'ibkr-login*.service') ]]
}

_remove_former_chromes() {
    local directory
    for directory in "$CHROME_HOME"/[0-9]*; do
        if [[ ! -d $directory || $directory -ef $CHROME_HOME/current ]]; then continue; fi
        # shellcheck disable=SC2310  # an answer, not a failure
        if _is_in_use "$directory"; then
            note "$directory stays until the next installation: a login runs"
        else
            rm -rf --one-file-system -- "$directory"
        fi
    done
    if [[ -d $CHROME_HOME ]]; then rmdir --ignore-fail-on-non-empty -- "$CHROME_HOME"; fi
}

# _permit_namespaces: Ubuntu lets a program make user namespaces, of which Chrome's own sandbox is made, only if a profile of
# AppArmor permits it to that program. Only where that is so, and only to Chrome for Testing.
_permit_namespaces() {
    if [[ $(cat "$USERNS_SETTING" 2>/dev/null || true) != 1 ]]; then return; fi
    # shellcheck disable=SC2310  # an answer, not a failure
    if is_foreign "$CHROME_PROFILE"; then
        warn "$CHROME_PROFILE is there and is not ours; it stays as it is"
        return
    fi
    install -d -m 0755 "${CHROME_PROFILE%/*}"
    cat >"$CHROME_PROFILE" <<PROFILE
# Part of ibkr-tools/ibkr-tools, replaced by the next installation: do not edit. Permits Chrome's own sandbox, as the
# profile that comes with Google Chrome does; nothing is confined by it.
abi <abi/4.0>,
include <tunables/global>

profile ibkr-tools-chrome $CHROME_HOME/*/chrome/chrome flags=(unconfined) {
  userns,

  include if exists <local/ibkr-tools-chrome>
}
PROFILE
    chmod 0644 "$CHROME_PROFILE"
    if has apparmor_parser && ! apparmor_parser --replace --write-cache "$CHROME_PROFILE"; then
        warn "AppArmor does not take $CHROME_PROFILE, so Chrome's sandbox may not be permitted; 'ibkr-tools doctor' says whether it is"
    fi
}

_remove_profile() {
    # shellcheck disable=SC2310  # an answer, not a failure
    if [[ ! -e $CHROME_PROFILE ]] || is_foreign "$CHROME_PROFILE"; then return; fi
    if has apparmor_parser; then apparmor_parser --remove "$CHROME_PROFILE" 2>/dev/null || true; fi
    rm -f -- "$CHROME_PROFILE"
}

# remove_chrome: all of it, after the units were stopped and with _purge.sh: when the program is removed.
remove_chrome() {
    local path
    end_fetchers
    _remove_profile
    for path in "$CHROME_HOME" "$HOME_DIR"/.chrome.??????; do
        if [[ -e $path || -L $path ]]; then remove_tree "$path"; fi
    done
}
