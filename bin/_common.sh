# shellcheck shell=bash
# Shared by the scripts in bin/; sourced, never run. Needs bash, and `set -euo pipefail` in whoever sources it.

# Without CDPATH: a folder of the same name in one of its places would be taken for ours.
CHECKOUT=$(CDPATH='' cd -- "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
readonly CHECKOUT

# What the caller's shell tells Python (other folders with modules, other start-up files) is not meant for ours. Every
# interpreter is started isolated besides (-I): the folder that somebody happens to be in is no source of modules.
for _variable in "${!PYTHON@}"; do
    case $_variable in PYTHONUNBUFFERED | PYTHONDONTWRITEBYTECODE) ;; *) unset -v "$_variable" ;; esac
done
unset -v _variable

if [[ -t 1 ]]; then
    _bold=$'\e[1m' _yellow=$'\e[33m' _red=$'\e[31m' _plain=$'\e[0m'
else
    _bold='' _yellow='' _red='' _plain=''
fi

# One line per step, so that a person sees where it is. What programs of other users have said may be in it: nothing of it
# moves a cursor.
say() { printf '%s\n' "${_bold}==>${_plain} ${*//[[:cntrl:]]/?}"; }
note() { printf '    %s\n' "${*//[[:cntrl:]]/?}"; }
warn() { printf '%s\n' "${_yellow}warning:${_plain} ${*//[[:cntrl:]]/?}" >&2; }

# die CODE MESSAGE [HINT]: codes as everywhere in ibkr-tools (docs: exit codes).
die() {
    local code=$1 message=$2 hint=${3:-}
    printf '%s\n' "${_red}error:${_plain} ${message//[[:cntrl:]]/?}" >&2
    if [[ -n $hint ]]; then printf '       %s\n' "${hint//[[:cntrl:]]/?}" >&2; fi
    exit "$code"
}

has() { command -v "$1" >/dev/null 2>&1; }

# python_is_new_enough PROGRAM: Python 3.11 or newer.
python_is_new_enough() {
    "$1" -I -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null
}

# find_python [system]: prints a Python 3.11 or newer; with `system` only one that a service may execute, which one in
# somebody's home (pyenv, uv) is not.
find_python() {
    local name program real
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        while IFS= read -r program; do
            # Looked at before it is started: root does not try whatever PATH leads to.
            if [[ ${1:-} == system && $program != /usr/* ]]; then continue; fi
            python_is_new_enough "$program" || continue
            if [[ ${1:-} == system ]]; then
                # A launcher like pyenv's is a script: ask Python itself where it lives.
                real=$("$program" -I -c 'import os, sys; print(os.path.realpath(sys.executable))')
                [[ $real == /usr/* ]] || continue
            fi
            printf '%s\n' "$program"
            return 0
        done < <(type -ap "$name" 2>/dev/null)
    done
    return 1
}

# make_venv PYTHON DIRECTORY: makes a virtual environment, or keeps the one that is there and works.
make_venv() {
    local python=$1 directory=$2
    if [[ -x $directory/bin/python ]] && python_is_new_enough "$directory/bin/python" &&
        "$directory/bin/python" -I -m pip --version >/dev/null 2>&1; then
        return 0
    fi
    "$python" -I -m venv --clear "$directory"
}

# pip_in DIRECTORY ARGUMENTS...: pip of a virtual environment, quiet, without questions.
pip_in() {
    local directory=$1
    shift
    "$directory/bin/python" -I -m pip -qq --no-input --disable-pip-version-check "$@"
}

# install_locked DIRECTORY LOCK [PIP OPTIONS...]: what a lock file lists, each file by its hash. What exists as source
# only is built with what requirements-build.lock lists; pip would fetch build tools of its own choice, without a hash,
# and run them.
install_locked() {
    local directory=$1 lock
    for lock in requirements-build.lock "$2"; do
        pip_in "$directory" install --require-hashes --no-build-isolation "${@:3}" --requirement "$CHECKOUT/$lock" || return
    done
}

# install_locked_or_die DIRECTORY LOCK [PIP OPTIONS...]: install_locked; what pip cannot get is one line, and 69.
install_locked_or_die() {
    local words
    # shellcheck disable=SC2310  # each step of it returns at its first failure
    if words=$(install_locked "$@" 2>&1); then return; fi
    if [[ $words == *'No matching distribution found for '* ]]; then
        words=${words##*No matching distribution found for }
        die 69 "pip gets no packages (${words%%[ $'\n']*} was the first): its index does not answer, or does not have them" \
            "Try again with a network; --wheels DIR needs none (docs/install.md)."
    fi
    printf '%s\n' "$words" >&2
    die 69 "Python's packages could not be installed; what pip says stands above" "docs/install.md"
}

# install_checkout DIRECTORY [PIP OPTIONS...]: the checkout itself, after install_locked; nothing is fetched for it.
install_checkout() {
    pip_in "$1" install --no-index --no-deps --no-build-isolation "${@:2}" "$CHECKOUT"
}

# install_wheel DIRECTORY WHEEL: a wheel of ours, after install_locked; nothing is fetched for it.
install_wheel() { pip_in "$1" install --no-index --no-deps "$2"; }

# locked_names LOCK: the names in a lock file, sorted.
locked_names() { sed -n 's/^\([a-z0-9-]*\)==.*/\1/p' "$CHECKOUT/$1" | LC_ALL=C sort; }

# remove_builders DIRECTORY LOCK: what only requirements-build.lock lists; a program that runs needs none of it.
remove_builders() {
    local names
    mapfile -t names < <(LC_ALL=C comm -23 <(locked_names requirements-build.lock) <(locked_names "$2"))
    pip_in "$1" uninstall --yes "${names[@]}"
}

# remove_installer DIRECTORY: pip too, where nothing is installed any more.
remove_installer() { pip_in "$1" uninstall --yes pip; }

# isolate_script FILE: has a console script that pip wrote start Python isolated, as every unit does.
isolate_script() {
    sed -i '1s|^#!\(/[^ ]*/python[0-9.]*\)$|#!\1 -I|' "$1"
    if [[ $(head -n 1 "$1") != '#!'*' -I' ]]; then die 70 "$1 does not start Python as expected"; fi
}

# content_id PATH...: one number for everything in these files and folders, to know whether anything changed.
content_id() {
    (
        cd "$CHECKOUT" || exit
        find "$@" -type f ! -path '*/__pycache__/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-64
    )
}

# use_venv NAME LOCK [COMMAND...]: a virtual environment in the checkout with exactly what the lock file says; what else
# belongs into it, the command puts there.
use_venv() {
    local directory=$CHECKOUT/$1 lock=$2 python stamp
    if ! python=$(find_python); then
        die 78 "Python 3.11 or newer is needed" "On Debian 12: apt-get install python3 python3-venv"
    fi
    if ! "$python" -I -c 'import ensurepip, venv' 2>/dev/null; then
        if [[ $EUID -eq 0 ]] && has apt-get; then
            say "installing python3-venv"
            apt-get -qq update
            apt-get -qq install --no-install-recommends -y python3-venv >/dev/null
        else
            die 78 "Python's venv module is missing" "sudo apt-get install python3-venv"
        fi
    fi
    stamp="$(content_id pyproject.toml requirements-build.lock "$lock") $("$python" -V)"
    if [[ -x $directory/bin/python && $(cat "$directory/stamp" 2>/dev/null) == "$stamp" ]]; then
        return 0
    fi
    say "setting up $1"
    make_venv "$python" "$directory"
    install_locked "$directory" "$lock"
    "${@:3}"
    printf '%s\n' "$stamp" >"$directory/stamp"
}

# use_checkout_venv LOCK: .venv of the checkout with exactly what the lock file says, and the checkout itself on top.
use_checkout_venv() { use_venv .venv "$1" install_checkout "$CHECKOUT/.venv" --editable; }

# remove_at_exit PATH: has a file or directory removed when this script ends, however it ends.
temporaries=()
remove_at_exit() {
    temporaries+=("$1")
    trap 'rm -rf --one-file-system -- "${temporaries[@]}"' EXIT
}

# keep_after_exit PATH: takes that back.
keep_after_exit() {
    local path kept=()
    for path in "${temporaries[@]}"; do
        if [[ $path != "$1" ]]; then kept+=("$path"); fi
    done
    temporaries=("${kept[@]}")
}
