# shellcheck shell=bash
# Completion of ibkr-tools for bash; part of ibkr-tools/ibkr-tools.
# The program says what can stand there, a line each: the word, a tab, what it means.
_ibkr_tools() {
    local line=${COMP_LINE:0:COMP_POINT} current=${COMP_WORDS[COMP_CWORD]} word answer item
    # bash breaks words at = and :, the program does not.
    word=${line##*[[:space:]]}
    case $current in "=" | ":" | "=:" | ":=") current='' ;; esac
    current=${current:0:${#word}}
    local kept=${word%"$current"}
    COMPREPLY=()
    answer=$(_IBKR_TOOLS_COMPLETE=line "${COMP_WORDS[0]/#\~\//$HOME/}" "$line" 2>/dev/null </dev/null) || return 0
    while IFS=$'\t' read -r item _; do
        case $item in
            "") ;;
            :file) compopt -o default 2>/dev/null ;;
            :directory) compopt -o dirnames -o filenames 2>/dev/null ;;
            *)
                printf -v item '%q' "$item"
                if [[ $item == *= ]]; then compopt -o nospace 2>/dev/null; fi
                COMPREPLY+=("${item#"$kept"}")
                ;;
        esac
    done <<<"$answer"
}
complete -F _ibkr_tools ibkr-tools
