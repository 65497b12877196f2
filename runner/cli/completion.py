"""The command ``completion``: scripts that complete verbs, options, values and cells in a shell.

They are made from the parser of the command line, so they know the same words. Only cells, and
values to select them, are asked for when they are needed, with ``list``. Words that come from a
matrix are never evaluated by a shell.
"""

import argparse
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from runner.cli.arguments import VERBS, Options, parsers
from runner.errors import Exit
from runner.system.program import SCRIPT

KINDS = {
    "CELL": "cells",
    "A": "both",
    "B": "both",
    "RUN": "runs",
    "VERB": "verbs",
    "AXIS=VALUE": "values",
    "FILE": "files",
    "BUNDLE": "files",
    "DIR": "folders",
}
"""What can stand for the words in capital letters in the help; for all others, nothing known."""


@dataclass(frozen=True, slots=True)
class _Option:
    """An option of a verb, or without names the words that follow it."""

    names: tuple[str, ...]
    kind: str
    """``flag``, ``words``, ``nothing``, or one of ``KINDS``."""
    words: tuple[str, ...]
    purpose: str


def completion(options: Options) -> Exit:
    """Print the script for a shell."""
    verbs = {verb: tuple(_options(parser)) for verb, parser in parsers().items()}
    print({"bash": _bash, "zsh": _zsh, "fish": _fish}[options.shell](verbs), end="")
    return Exit.OK


def _options(parser: argparse.ArgumentParser) -> Iterator[_Option]:
    # argparse has no public list of them.
    for action in parser._actions:  # noqa: SLF001
        words = tuple(map(str, action.choices or ()))
        if action.nargs == 0:
            kind = "flag"
        elif words:
            kind = "words"
        else:
            kind = KINDS.get(str(action.metavar), "nothing")
        purpose = str(action.help).replace("%%", "%")
        yield _Option(tuple(action.option_strings), kind, words, purpose)


_Verbs = Mapping[str, tuple[_Option, ...]]


def _tables(verbs: _Verbs) -> str:
    """Return the words of all verbs as ``case`` commands, which bash and zsh read in the same way.

    They set ``kind`` and ``known`` for the word at the cursor.
    """
    valued = {
        name: one
        for options in verbs.values()
        for one in options
        if one.kind != "flag"
        for name in one.names
    }
    lines = ["    case $previous in"]
    for name, one in valued.items():
        lines.append(f"        {name}) kind={one.kind} known={shlex.quote(' '.join(one.words))} ;;")
    lines += ["    esac", "    if [[ -z $kind && $current == -* ]]; then", "        kind=words"]
    lines.append("        case $verb in")
    for verb, options in verbs.items():
        names = " ".join(name for one in options for name in one.names)
        lines.append(f"            {verb}) known={shlex.quote(names)} ;;")
    lines += ["        esac", "    elif [[ -z $kind ]]; then", "        case $verb in"]
    for verb, options in verbs.items():
        for one in options:
            if not one.names:
                known = shlex.quote(" ".join(one.words))
                lines.append(f"            {verb}) kind={one.kind} known={known} ;;")
                break
    return "\n".join([*lines, "        esac", "    fi"])


def _bash(verbs: _Verbs) -> str:
    return (
        _BASH.replace("@PROGRAM@", SCRIPT)
        .replace("@VERBS@", " ".join(VERBS))
        .replace("@EITHER@", "|".join(VERBS))
        .replace("@TABLES@", _tables(verbs))
    )


def _zsh(verbs: _Verbs) -> str:
    return (
        _ZSH.replace("@PROGRAM@", SCRIPT)
        .replace("@VERBS@", " ".join(VERBS))
        .replace("@EITHER@", "|".join(VERBS))
        .replace("@TABLES@", _tables(verbs))
    )


_BASH = r"""# Completion of @PROGRAM@ for bash. Load it with: eval "$(@PROGRAM@ completion bash)"
_matrix_runner() {
    local IFS=$' \t\n' line=${COMP_LINE:0:COMP_POINT}
    local typed current previous lead full strip='' word i
    local verb=run kind='' known='' matrix='' reports=reports
    local -a words
    COMPREPLY=()
    # Bash also splits at = and :, which are part of cells.
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=('')
    typed=${words[${#words[@]}-1]} previous=${words[${#words[@]}-2]} current=$typed
    if [[ $typed == --*=* ]]; then
        previous=${typed%%=*} current=${typed#*=}
    fi
    lead=${typed%"$current"}
    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        case ${words[i]} in
            --matrix) matrix=${words[i+1]} ;;
            --matrix=*) matrix=${words[i]#*=} ;;
            --reports) reports=${words[i+1]} ;;
            --reports=*) reports=${words[i]#*=} ;;
        esac
    done
    if ((${#words[@]} == 2)) && [[ $typed != -* ]]; then
        kind=verbs
    else
        case ${words[1]} in
            @EITHER@) verb=${words[1]} ;;
            *.yaml|*.yml) matrix=${words[1]} ;;
        esac
    fi
@TABLES@
    case $kind in
        verbs) known='@VERBS@' ;;
        cells|values|both)
            local program=${words[0]/#\~/$HOME}
            matrix=${matrix/#\~/$HOME}
            known=$("$program" list ${matrix:+--matrix "$matrix"} 2>/dev/null)
            [[ $kind == values ]] && known=$(tr , '\n' <<< "$known" | sort -u)
            ;;
        files|folders) return ;;
        words) ;;
        *) compopt +o default 2>/dev/null ;;
    esac
    if [[ $kind == runs || $kind == both ]]; then
        for word in "$reports"/*/run.json; do
            word=${word%/run.json}
            [[ -d $word && ! -L $word ]] && known+=$'\n'${word##*/}
        done
    fi
    [[ $kind == words || $kind == verbs ]] && known=${known// /$'\n'}
    # Bash replaces only what follows the last = or : of the typed word.
    [[ $COMP_WORDBREAKS == *=* ]] && strip=${typed%"${typed##*=}"}
    [[ $COMP_WORDBREAKS == *:* && ${typed#"$strip"} == *:* ]] && strip=${typed%"${typed##*:}"}
    while IFS= read -r word; do
        [[ -n $word && $word == "$current"* ]] || continue
        full=$lead$word full=${full#"$strip"}
        [[ $full =~ ^[A-Za-z0-9_.,=:+@%/-]*$ ]] || printf -v full %q "$full"
        COMPREPLY+=("$full")
    done <<< "$known"
}
complete -o default -F _matrix_runner @PROGRAM@
"""

_ZSH = r"""#compdef @PROGRAM@
# Completion of @PROGRAM@ for zsh. Load it after compinit: source <(@PROGRAM@ completion zsh)
_matrix_runner() {
    local current=$PREFIX previous=$words[CURRENT-1] i
    local verb=run kind='' known='' matrix='' reports=reports
    local -a found runs
    if [[ $PREFIX == --*=* ]]; then
        previous=${PREFIX%%=*} current=${PREFIX#*=}
        compset -P '*='
    fi
    for ((i = 2; i < CURRENT; i++)); do
        case $words[i] in
            --matrix) matrix=$words[i+1] ;;
            --matrix=*) matrix=${words[i]#*=} ;;
            --reports) reports=$words[i+1] ;;
            --reports=*) reports=${words[i]#*=} ;;
        esac
    done
    if ((CURRENT == 2)) && [[ $PREFIX != -* ]]; then
        kind=verbs
    else
        case $words[2] in
            @EITHER@) verb=$words[2] ;;
            *.yaml|*.yml) matrix=$words[2] ;;
        esac
    fi
@TABLES@
    case $kind in
        verbs) found=(${=:-@VERBS@}) ;;
        words) found=(${=known}) ;;
        cells|values|both)
            found=(${(f)"$(${~words[1]} list ${matrix:+--matrix} ${~matrix} 2>/dev/null)"})
            [[ $kind == values ]] && found=(${(us:,:)${(j:,:)found}})
            ;;
        files) _files; return ;;
        folders) _files -/; return ;;
    esac
    if [[ $kind == runs || $kind == both ]]; then
        runs=($reports/*/run.json(N:h:t))
        found+=($runs)
    fi
    compadd -a found
}
if [[ $funcstack[1] == _matrix_runner ]]; then
    _matrix_runner "$@"
else
    compdef _matrix_runner @PROGRAM@
fi
"""

_FISH = r"""# Completion of @PROGRAM@ for fish. Load it with: @PROGRAM@ completion fish | source
function __matrix_runner_cells
    set -l words (commandline -opc)
    set -l matrix
    for i in (seq 2 (count $words))
        switch $words[$i]
            case --matrix
                set matrix --matrix $words[(math $i + 1)]
            case '--matrix=*'
                set matrix $words[$i]
            case '*.yaml' '*.yml'
                test $i -eq 2; and set matrix --matrix $words[$i]
        end
    end
    $words[1] list $matrix 2>/dev/null
end
function __matrix_runner_values
    __matrix_runner_cells | string split , | sort -u
end
function __matrix_runner_runs
    for file in reports/*/run.json
        path basename (path dirname $file)
    end
end
complete -c @PROGRAM@ -f
"""

_IN_FISH = {
    "flag": "",
    "nothing": "-x",
    "files": "-r -F",
    "folders": "-x -a '(__fish_complete_directories)'",
    "cells": "-x -a '(__matrix_runner_cells)'",
    "values": "-x -a '(__matrix_runner_values)'",
    "runs": "-x -a '(__matrix_runner_runs)'",
    "both": "-x -a '(__matrix_runner_cells; __matrix_runner_runs)'",
    "verbs": f"-x -a {shlex.quote(' '.join(VERBS))}",
}


def _fish(verbs: _Verbs) -> str:
    lines = [
        f"complete -c {SCRIPT} -n __fish_use_subcommand -a {verb} -d {shlex.quote(purpose)}"
        for verb, purpose in VERBS.items()
    ]
    others = " ".join(verb for verb in VERBS if verb != "run")
    for verb, options in verbs.items():
        seen = f"__fish_seen_subcommand_from {verb}"
        seen = f"not __fish_seen_subcommand_from {others}" if verb == "run" else seen
        for one in options:
            what = f"-x -a {shlex.quote(' '.join(one.words))}" if one.words else _IN_FISH[one.kind]
            if not one.names:
                what = what.removeprefix("-x ").removeprefix("-r ")
            names = " ".join(
                f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"
                for name in one.names
            )
            parts = ("complete", "-c", SCRIPT, "-n", shlex.quote(seen), names, what)
            about = f"-d {shlex.quote(one.purpose)}" if one.names else ""
            lines.append(" ".join(filter(None, (*parts, about))))
    return _FISH.replace("@PROGRAM@", SCRIPT) + "\n".join(lines) + "\n"
