# shellcheck shell=bash disable=SC2154  # what is not set here is set by those who source it
# Templates for the units of instances, made of the plain units; sourced after _installed.sh and _instance.sh by whoever lays
# them down, or knows what was laid down.

# template_name NAME: the name of the template that is made of a unit, or of the folder with its drop-ins. `ibkr-alert@` is
# what tells of a failed unit, so the delivery has another name.
template_name() {
    local name=${1/#ibkr-alert./ibkr-alert-delivery.}
    printf '%s\n' "${name/./@.}"
}

# _own_units: what comes after `ibkr-` in the names of the units that every instance has of its own, but for the delivery of
# alerts: alternatives of a regular expression.
_own_units() {
    find "$CHECKOUT/systemd" -maxdepth 1 -name 'ibkr-*.*' -type f ! -name '*@*' -printf '%f\n' |
        sed -E 's/^ibkr-([a-z]+)\..*/\1/' | grep -vx -e simulator -e alert | LC_ALL=C sort -u | paste -sd '|'
}

# make_template FILE: prints the template that is made of a unit, or of a drop-in of one.
make_template() {
    local own
    own=$(_own_units)
    _made_of "$(basename -- "$1")"
    _for_instance '@%i' <"$1" | sed -E \
        -e 's#^(Configuration|Runtime|State)Directory=ibkr-tools$#&@%i#' \
        -e 's#^(User|Group|SocketUser|SocketGroup|SupplementaryGroups)=ibkr$#&-%i#' \
        -e 's#^SyslogIdentifier=ibkr-[a-z]+$#&@%i#' \
        -e 's#^Description=.*#& of %i#' \
        -e 's#( table inet ibkr_tools)$#\1-%i#' \
        -e 's#^OnFailure=ibkr-alert@%n\.service$#OnFailure=ibkr-alert-%j@%i.service#' \
        -e 's#\bibkr-alert\.(service|path)#ibkr-alert-delivery@%i.\1#g' \
        -e "s#\\bibkr-($own)\\.(service|path|socket|timer)#ibkr-\\1@%i.\\2#g"
}

# make_unit_template FILE: as make_template; every service is told which instance it works for.
make_unit_template() { make_template "$1" | sed -e 's#^\[Service\]$#&\nEnvironment=IBKR_TOOLS_INSTANCE=%i#'; }

# make_failure_template UNIT: prints the template that tells of the failure of an instance's UNIT (ibkr-fetch). One for each
# unit: systemd passes on how a unit has ended only if a single one names the other in OnFailure=.
make_failure_template() {
    make_unit_template "$CHECKOUT/systemd/ibkr-alert@.service" |
        sed -e "s#^\\(ExecStart=.*\\) %i\$#\\1 $1.service#" -e "s#^\\(Description=.*\\) %i of %i#\\1 $1 of %i#"
}

# make_instance_files FOLDER NAMES...: fills a folder like systemd/ with the templates, and with users and directories for
# each name.
make_instance_files() {
    local folder=$1 path file name
    shift
    while IFS= read -r path; do
        file=$CHECKOUT/systemd/$path
        case $path in
            ibkr-simulator.service | ibkr-.service.d/* | *@*) continue ;;
            ibkr-*/* | since-*/*/*)
                name=$(dirname -- "$path")
                install -d "$folder/$(dirname -- "$name")/$(template_name "$(basename -- "$name")")"
                make_template "$file" >"$folder/$(dirname -- "$name")/$(template_name "$(basename -- "$name")")/${path##*/}"
                ;;
            ibkr-*)
                make_unit_template "$file" >"$folder/$(template_name "$path")"
                if grep -q '^OnFailure=ibkr-alert@' "$file"; then
                    name=${path%.service}
                    make_failure_template "$name" >"$folder/ibkr-alert-${name#ibkr-}@.service"
                fi
                ;;
            sysusers.d/* | tmpfiles.d/*)
                for name in "$@"; do
                    install -d "$folder/${path%/*}"
                    make_user_file "$file" "$name" >"$folder/${path%.conf}@$name.conf"
                done
                ;;
            *) continue ;;
        esac
    done < <(find "$CHECKOUT/systemd" -type f -printf '%P\n' | LC_ALL=C sort)
}

# instance_templates: where the templates are installed, as the second column of shipped_files.
instance_templates() {
    local made
    made=$(mktemp -d)
    make_instance_files "$made"
    shipped_files 999 "$made"
    rm -rf -- "$made"
}
