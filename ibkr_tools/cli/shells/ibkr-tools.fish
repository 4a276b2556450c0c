# Completion of ibkr-tools for fish; part of ibkr-tools/ibkr-tools.
# The program says what can stand there, a line each: the word, a tab, what it means.
function __ibkr_tools
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in (_IBKR_TOOLS_COMPLETE=words $words[1] $words[2..-1] "$current" 2>/dev/null </dev/null)
        switch $line
            case ':file*'
                __fish_complete_path "$current"
            case ':directory*'
                __fish_complete_directories "$current"
            case '*'
                echo $line
        end
    end
end
complete --command ibkr-tools --no-files --keep-order --arguments '(__ibkr_tools)'
