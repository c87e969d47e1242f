"""Shells: the code by which bash and zsh ask for completions, and how their lines are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_BASH = """\
_mlops_compile_complete() {
    local reply word
    COMPREPLY=()
    reply=$(COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" COMP_WORDBREAKS="$COMP_WORDBREAKS" \\
        "${COMP_WORDS[0]/#\\~\\//$HOME/}" -sc query=bash 2> /dev/null) || return 0
    [ -n "$reply" ] || return 0
    while IFS= read -r word; do COMPREPLY+=("$word"); done <<< "$reply"
}
complete -o nospace -o default -F _mlops_compile_complete mlops-compile
"""
_ZSH = """\
_mlops_compile_complete() {
    local line="${(j: :)words[1,CURRENT-1]} $PREFIX"
    local -a replies done open
    replies=("${(@f)$(COMP_LINE="$line" COMP_POINT="${#line}" COMP_WORDBREAKS="" \\
        "${words[1]/#\\~\\//$HOME/}" -sc query=zsh 2> /dev/null)}")
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
compdef _mlops_compile_complete mlops-compile
"""
INSTALL: Mapping[str, str] = {"bash": _BASH, "zsh": _ZSH}
UNINSTALL: Mapping[str, str] = {
    "bash": "complete -r mlops-compile\nunset -f _mlops_compile_complete\n",
    "zsh": "compdef -d mlops-compile\nunfunction _mlops_compile_complete\n",
}
_SPECIAL = frozenset(" \t'\"\\$`!&;|<>()[]{}*?#~")


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

    def reply(self, candidate: str) -> str:
        """What the shell puts in place of the part that it replaces.

        A candidate that may go on (it ends in `=`, `.`, `/` or `,`) gets no space behind it.
        """
        rest = candidate.removeprefix(self.word)
        if not self.quote:
            rest = "".join(f"\\{char}" if char in _SPECIAL else char for char in rest)
        end = "" if candidate[-1:] in "=./,[" or self.quote else " "
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
    return Line(words=tuple(words), word=word, replaced=text[replaced:point], quote=quote)
