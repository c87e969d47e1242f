"""Shells: the code by which bash and zsh ask for completions, and how their lines are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_BASH = """\
_mlops_compile_complete() {
    local reply word
    local -a program
    COMPREPLY=()
    word=${COMP_WORDS[0]//[\\"\\'\\\\]/}
    program=("${word/#\\~\\//$HOME/}")
    if [ "${COMP_WORDS[1]} ${COMP_WORDS[2]}" = "-m mlops_compile" ]; then
        program+=(-m mlops_compile)
    elif [[ ${program##*/} == python* ]]; then
        return 0
    fi
    reply=$(COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" COMP_WORDBREAKS="$COMP_WORDBREAKS" \\
        "${program[@]}" -sc query=bash 2> /dev/null) || return 0
    [ -n "$reply" ] || return 0
    while IFS= read -r word; do COMPREPLY+=("$word"); done <<< "$reply"
}
complete -o nospace -o default -F _mlops_compile_complete @command@
"""
_ZSH = """\
_mlops_compile_complete() {
    local line="${(j: :)words[1,CURRENT-1]} $QIPREFIX$PREFIX"
    local -a program replies done open
    program=("${(Q)words[1]/#\\~\\//$HOME/}")
    if [[ "$words[2] $words[3]" == "-m mlops_compile" ]]; then
        program+=(-m mlops_compile)
    elif [[ ${program:t} == python* ]]; then
        _python
        return
    fi
    replies=("${(@f)$(COMP_LINE="$line" COMP_POINT="${#line}" COMP_WORDBREAKS="" \\
        $program -sc query=zsh 2> /dev/null)}")
    done=(${(M)replies:#* })
    open=(${replies:#(* |)})
    if (( ! $#done && ! $#open )); then
        compset -P '*='
        _files
        return
    fi
    done=("${(@)done% }")
    (( $#done )) && compadd -Q -- "${done[@]}"
    (( $#open )) && compadd -Q -S '' -- "${open[@]}"
    return 0
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _mlops_compile_complete @command@
"""
_INSTALL: Mapping[str, str] = {"bash": _BASH, "zsh": _ZSH}
_UNINSTALL: Mapping[str, str] = {
    "bash": "complete -r @command@\nunset -f _mlops_compile_complete\n",
    "zsh": "compdef -d @command@\nunfunction _mlops_compile_complete\n",
}
SHELLS = tuple(_INSTALL)
_MODULE = ("-m", "mlops_compile")
_SPECIAL = frozenset(" \t'\"\\$`!&;|<>()[]{}*?#~")
_SPECIAL_QUOTED = frozenset('"\\$`')  # between double quotes


def install(shell: str, command: str) -> str:
    """The code that makes a shell complete a command: ours, or the Python that runs it (`-m`)."""
    return _INSTALL[shell].replace("@command@", command)


def uninstall(shell: str, command: str) -> str:
    """The code that takes `install` back."""
    return _UNINSTALL[shell].replace("@command@", command)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A command line up to the cursor: the words before the one that is being written (the
    program's name is left out), and that word.

    `replaced` is the end of that word as it is typed that the shell puts a reply in place of;
    `quote` the quotation mark that is open, or empty.
    """

    words: tuple[str, ...]
    word: str
    replaced: str
    quote: str

    def reply(self, candidate: str, shell: str) -> str:
        """What the shell puts in place of the part that it replaces.

        A candidate that may go on (it ends in `=`, `.`, `/` or `,`) gets no space behind it. Where
        a quotation mark is open, zsh writes the closing one before the space, and bash behind it.
        """
        rest = candidate.removeprefix(self.word)
        if self.quote == "'":
            rest = rest.replace("'", "'\\''")
        else:
            special = _SPECIAL_QUOTED if self.quote else _SPECIAL
            rest = "".join(f"\\{char}" if char in special else char for char in rest)
        goes_on = candidate[-1:] in "=./,[" or (self.quote and shell == "bash")
        end = "" if goes_on else " "
        return f"{self.replaced}{rest}{end}"


def read_line(text: str, point: int, breaks: str) -> Line:
    """The line of a shell with the cursor at `point`; `breaks` are the characters at which the
    shell begins a word anew (COMP_WORDBREAKS of bash)."""
    words: list[str] = []
    word, quote, begun, escaped = "", "", False, False
    replaced = 0
    for place, char in enumerate(text[:point]):
        if escaped:
            word, escaped = word + char, False
        elif char == "\\" and quote != "'":
            escaped = begun = True
        elif quote:
            word, quote = (word, "") if char == quote else (word + char, quote)
        elif char in "'\"":
            quote, begun, replaced = char, True, place + 1
        elif char.isspace():
            if begun or word:
                words.append(word)
            word, begun, replaced = "", False, place + 1
        else:
            word += char
            if char in breaks:
                replaced = place + 1
    if words or word:
        program = next((n for n, item in enumerate(words) if "=" not in item), len(words))
        words = words[program + 1 :]
        if tuple(words[:2]) == _MODULE:
            words = words[2:]
    return Line(words=tuple(words), word=word, replaced=text[replaced:point], quote=quote)
