#!/usr/bin/env bash
# Lays down the files of the package of Debian below a directory: bin/_package.sh DIRECTORY. Called by debian/rules, in the
# copy of the checkout that bin/package makes. The files are those that bin/install lays down, by the same functions.
set -euo pipefail
# shellcheck source=bin/_common.sh
source "$(dirname "${BASH_SOURCE[0]}")/_common.sh"
# shellcheck source=bin/_installed.sh
source "$(dirname "${BASH_SOURCE[0]}")/_installed.sh"
# shellcheck source=bin/_instance.sh
source "$(dirname "${BASH_SOURCE[0]}")/_instance.sh"
# shellcheck source=bin/_templates.sh
source "$(dirname "${BASH_SOURCE[0]}")/_templates.sh"
# shellcheck source=bin/_browser.sh
source "$(dirname "${BASH_SOURCE[0]}")/_browser.sh"
use_layout package

root=$(realpath -- "$1")
# What depends on the release: the version of Python that the compiled libraries are for, which drop-ins systemd knows, and
# whether its Chromium is of any use.
python=/usr/bin/python3
minor=$("$python" -I -c 'import sys; print(sys.version_info.minor)')
systemd_version=$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
cat >"$CHECKOUT/debian/ibkr-tools.substvars" <<SUBSTVARS
python3:Depends=python3 (>= 3.$minor~), python3 (<< 3.$((minor + 1))~)
browser:Recommends=$(recommended_browser)
SUBSTVARS

# --- program ----------------------------------------------------------------------------------------------------------

from=()
if [[ -n ${IBKR_TOOLS_WHEELS:-} ]]; then from=(--no-index --find-links "$IBKR_TOOLS_WHEELS"); fi
stage_environment "$python" "$root$VENV" "${IBKR_TOOLS_LOCK:-requirements.lock}" "${from[@]}"
# Man pages and completions are made of the program itself.
"$root$VENV/bin/python" -I -m ibkr_tools.cli.pages --vendor "$root/usr" >/dev/null
# Made in one place and run in another: what names the place is rewritten, and what only tells it is left out. Bytecode is
# made where the package is installed.
find "$root$VENV" -name __pycache__ -type d -prune -exec rm -rf -- {} +
rm -f -- "$root$VENV"/bin/[aA]ctivate*
sed -i -e '/^command = /d' "$root$VENV/pyvenv.cfg"
sed -i -e "1s|^#!$root|#!|" "$root$VENV"/bin/ibkr-tools
find "$root$VENV/bin" -type f ! -name ibkr-tools -delete
for record in "$root$VENV"/lib/python3*/site-packages/ibkr_tools-*.dist-info/RECORD; do
    rm -f -- "${record%RECORD}direct_url.json"
    sed -i '/dist-info\/direct_url\.json,/d' "$record"
done
sed -i -e '/\.pyc,/d' -e '\|^\.\./\.\./\.\./bin/|{\|/ibkr-tools,|!d}' "$root$VENV"/lib/python3*/site-packages/*.dist-info/RECORD
# Libraries are loaded, not run. Selenium Manager is a program.
find "$root$VENV" -type f ! -path '*/bin/*' ! -name selenium-manager -exec chmod 0644 {} +
if named=$(grep -rlF -- "$root" "$root$VENV"); then die 70 "these files name the place where they were made: $named"; fi
mkdir -p "$root/usr/bin"
ln -s "../lib/ibkr-tools/venv/bin/ibkr-tools" "$root$LINK"

# --- units, user, directories -----------------------------------------------------------------------------------------

templates=$(mktemp -d)
remove_at_exit "$templates"
make_instance_files "$templates"
while IFS=$'\t' read -r source target; do
    put_file "$source" "$target" "$root"
done < <(shipped_files "$systemd_version" "$templates")

# --- setup ------------------------------------------------------------------------------------------------------------

install -D -m 0755 "$CHECKOUT/debian/ibkr-tools-install" "$root$HOME_DIR/bin/ibkr-tools-install"
for part in _browser _common _installed _instance _purge _setup; do
    install -m 0644 "$CHECKOUT/bin/$part.sh" "$root$HOME_DIR/bin/"
done
install -m 0644 "$CHECKOUT/config.example.json" "$root$HOME_DIR/"
mkdir -p "$root/usr/sbin"
ln -s ../lib/ibkr-tools/bin/ibkr-tools-install "$root/usr/sbin/ibkr-tools-install"
# Beside the documentation: in the folder above it debhelper would take it for Debian's own changelog.
install -D -m 0644 -t "$root/usr/share/doc/ibkr-tools/docs" "$CHECKOUT/CHANGELOG.md"
