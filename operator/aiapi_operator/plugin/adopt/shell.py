"""Shell lines that end in a server, such as ``alembic upgrade head && exec uvicorn main:app``.

What comes before the server is kept as a script that ends in ``exec "$0" "$@"``, so that it runs
before the interpreter of the app.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

SHELLS = {"sh", "bash", "ash", "dash", "zsh"}
_SEPARATOR = re.compile(r"&&|\|\||;|\n|\||(?<![<>&])&(?![<>&])")
_COMMENT = re.compile(r"^\s*#.*\n?", re.MULTILINE)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_REDIRECTION = re.compile(r"\d*(?:>>?|<|>&|&>)(.*)")
_VARIABLE = re.compile(r"\$\{(\w+)(?::?-([^}]*))?\}|\$(\w+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellLine:
    """A shell line, split before its last command."""

    shell: tuple[str, ...]
    """The shell and its options, up to ``-c``."""
    before: str
    """The text before the last command, with its separator."""
    assignments: tuple[str, ...]
    words: tuple[str, ...]
    """The last command, without assignments, ``exec`` and redirections."""
    redirections: tuple[str, ...]

    def script(self, exports: Mapping[str, str], wrapper: Sequence[str]) -> tuple[str, ...]:
        """The command that runs everything but the server; empty if there is nothing else."""
        exported = "".join(f'export {name}="{value}" && ' for name, value in exports.items())
        words = [_assigned(each) for each in self.assignments] + [shlex.join(wrapper)]
        prefix = "".join(f"{word} " for word in words if word)
        if not (self.before.strip() or exported or prefix):
            return ()
        before = self.before if not self.before or self.before[-1].isspace() else f"{self.before} "
        run = f"{' '.join(filter(None, words[:-1]))} exec ".lstrip()
        return (*self.shell, f'{before}{exported}{run}{_spaced(words[-1])}"$0" "$@"')


def _assigned(text: str) -> str:
    name, _, value = text.partition("=")
    return f"{name}={shlex.quote(value)}" if "$" not in value else f'{name}="{value}"'


def _spaced(text: str) -> str:
    return f"{text} " if text else ""


def split(argv: Sequence[str]) -> ShellLine | None:
    """The shell line in ``argv``; None if it runs no shell. Raises ValueError for open quotes."""
    for index, word in enumerate(argv):
        if PurePosixPath(word).name in SHELLS:
            return _split_line(argv, index)
    return None


def _split_line(argv: Sequence[str], start: int) -> ShellLine | None:
    at = start + 1
    while at < len(argv) - 1 and argv[at].startswith("-"):
        if not argv[at].startswith("--") and "c" in argv[at]:
            return _last_command(tuple(argv[: at + 1]), argv[at + 1])
        at += 2 if argv[at] in ("-o", "+o") else 1
    return None


def _last_command(shell: tuple[str, ...], text: str) -> ShellLine:
    joined = re.sub(r"\\\n\s*", " ", text)
    line = _COMMENT.sub("", joined).strip()
    at = _last_separator(line)
    words = shlex.split(line[at:])
    assignments: list[str] = []
    while words and (_ASSIGNMENT.fullmatch(words[0]) or words[0] == "exec"):
        word = words.pop(0)
        if word != "exec":
            assignments.append(word)
    kept, redirections = _without_redirections(words)
    return ShellLine(
        shell=shell,
        before=line[:at],
        assignments=tuple(assignments),
        words=kept,
        redirections=redirections,
    )


def _last_separator(line: str) -> int:
    """Where the last command begins: after the last separator that is not quoted."""
    for found in reversed(list(_SEPARATOR.finditer(line))):
        tail = line[found.end() :]
        if tail.strip() and _is_whole(line[: found.start()]) and _is_whole(tail):
            return found.end()
    return 0


def _is_whole(text: str) -> bool:
    try:
        shlex.split(text)
    except ValueError:
        return False
    return True


def _without_redirections(words: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    kept: list[str] = []
    redirections: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if found := _REDIRECTION.fullmatch(word):
            target = "" if found[1] or not left else f" {left.pop(0)}"
            redirections.append(word + target)
        else:
            kept.append(word)
    return tuple(kept), tuple(redirections)


def expand(text: str, env: Mapping[str, str]) -> str:
    """Expand ``$NAME``, ``${NAME}`` and ``${NAME:-default}`` if the value is known."""

    def value(found: re.Match[str]) -> str:
        return env.get(found[1] or found[3], found[0])

    return _VARIABLE.sub(value, text)


def default(text: str) -> str:
    """The text with the defaults of ``${NAME:-default}``; unknown variables stay."""
    return _VARIABLE.sub(lambda found: found[2] if found[2] is not None else found[0], text)
