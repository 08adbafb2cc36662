"""Reads the command of a container: which app it serves, and with which options.

Whatever stands before the server (an entrypoint script, ``tini --``, ``poetry run``, the first
commands of a shell line) becomes the entrypoint, which runs its arguments: the interpreter of the
app, with the launcher.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aiapi_operator.plugin.adopt import arguments, fastapi_file, shell
from aiapi_operator.plugin.adopt.arguments import Arguments, basename
from aiapi_operator.plugin.adopt.remarks import AdoptionError
from aiapi_operator.plugin.adopt.server_options import ENV, SERVERS, WORKERS, Option, Server

_PYTHON = re.compile(r"(?:python|pypy)[0-9.]*")
_PLAIN_PYTHON = {"python", "python3"}
_SUBCOMMANDS = {"fastapi": ("run", "dev")}
_PYTHON_VARIABLES = {
    "-u": ("PYTHONUNBUFFERED", "1"),
    "-O": ("PYTHONOPTIMIZE", "1"),
    "-B": ("PYTHONDONTWRITEBYTECODE", "1"),
    "-s": ("PYTHONNOUSERSITE", "1"),
    "-P": ("PYTHONSAFEPATH", "1"),
}
_PYTHON_VALUES = {"-X": "", "-W": "PYTHONWARNINGS"}
_ADVICE = (
    "name it with --app MODULE:ATTRIBUTE, or give the command that starts the server with"
    " --command, as in --command 'uvicorn assistant.main:app'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A word of the command that is not carried over as it is, and why."""

    word: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What a command serves, and how."""

    app: str
    workers: int | None = None
    """Processes in a pod; None if the command does not say."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Variables of the runtime that replace options."""
    python: str = ""
    entrypoint: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A server in a list of words."""

    server: Server
    prefix: tuple[str, ...]
    arguments: tuple[str, ...]
    python: str = ""
    python_options: tuple[str, ...] = ()


def read(argv: Sequence[str], env: Mapping[str, str], *, app: str = "") -> Serving:
    """What ``argv`` serves. ``app`` is for a command that does not say it."""
    words = [arguments.expand(word, env) for word in argv]
    try:
        line = shell.split(words)
        found = _find(line.words if line else words)
    except ValueError as error:
        raise AdoptionError(
            f"the command's shell line is malformed ({error}): {_ADVICE}"
        ) from error
    if found is None:
        return _unknown(argv, app)
    given = arguments.read(found.server, found.arguments, env)
    return _serving(found, given, line, env, app)


def _unknown(argv: Sequence[str], app: str) -> Serving:
    if not app:
        what = f"the command {' '.join(argv)!r} names no app" if argv else (
            "the command is in the image, so that the app is not known"
        )  # fmt: skip
        raise AdoptionError(f"{what}: {_ADVICE}")
    note = Note(
        word=" ".join(argv),
        reason=f"replaced: the runtime serves {app}. If it prepares something before the server"
        " starts, set runtime.entrypoint",
    )
    return Serving(app=app, notes=(note,) if argv else ())


def _find(words: Sequence[str]) -> _Found | None:
    for at, word in enumerate(words):
        name = basename(word)
        if name in SERVERS:
            python = _interpreter(word)
            return _Found(
                server=SERVERS[name],
                prefix=tuple(words[:at]),
                arguments=_arguments(words, at + 1, SERVERS[name]),
                python=python,
            )
        if _PYTHON.fullmatch(name) and (found := _module(words, at)):
            return found
    return None


def _interpreter(program: str) -> str:
    """The interpreter beside a program of a virtual environment; empty for any other."""
    folder = program.rpartition("/")[0]
    return "" if not folder or folder.endswith("/.local/bin") else f"{folder}/python"


def _module(words: Sequence[str], start: int) -> _Found | None:
    """``python [options] -m server``."""
    at = start + 1
    while at < len(words) - 1 and words[at] != "-m":
        if not words[at].startswith("-"):
            return None
        at += 2 if words[at] in _PYTHON_VALUES else 1
    if at >= len(words) - 1 or words[at + 1] not in SERVERS:
        return None
    python = "" if words[start] in _PLAIN_PYTHON else words[start]
    server = SERVERS[words[at + 1]]
    return _Found(
        server=server,
        prefix=tuple(words[:start]),
        arguments=_arguments(words, at + 2, server),
        python=python,
        python_options=tuple(words[start + 1 : at]),
    )


def _arguments(words: Sequence[str], start: int, server: Server) -> tuple[str, ...]:
    """The words after a server and its sub-command."""
    named = words[start : start + 1] and words[start] in _SUBCOMMANDS.get(server.name, ())
    return tuple(words[start + 1 :] if named else words[start:])


def _serving(
    found: _Found,
    given: Arguments,
    line: shell.ShellLine | None,
    env: Mapping[str, str],
    app: str,
) -> Serving:
    reader = _Options(env)
    for option, value in given.given:
        reader.add(option, value)
    reader.add_python(found.python_options)
    for word in given.unknown:
        reader.note(word, "adopt does not know this argument")
    path = app or _app(found.server, given.app, reader, env)
    exports, variables = reader.exports_and_variables()
    prefix = found.prefix
    if line is not None:
        prefix = line.script(exports, prefix)
        reader.notes += [Note(word=each, reason="the log of the pod is standard output and error")
                         for each in line.redirections]  # fmt: skip
    return Serving(
        app=path,
        workers=reader.workers,
        variables=variables if line is not None else {**variables, **exports},
        python=found.python,
        entrypoint=prefix,
        notes=tuple(reader.notes),
    )


def _app(server: Server, given: str, reader: "_Options", env: Mapping[str, str]) -> str:
    text = reader.special.get("app") or shell.default(shell.expand(given, env))
    if server.name == "fastapi" and not reader.special.get("app"):
        file = fastapi_file.find(text, reader.special.get("attribute", ""))
        reader.notes += [Note(word=text, reason=file.note)]
        reader.variables |= {"AIAPI_APP_DIR": file.folder} if file.folder else {}
        return file.app
    if not text or "$" in text:
        raise AdoptionError(f"{server.name} is started without a known app: {_ADVICE}")
    return arguments.app_path(server, text)


class _Options:
    """Collects what the options mean."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.variables: dict[str, str] = {}
        self.special: dict[str, str] = {}
        self.notes: list[Note] = []
        self.workers: int | None = None

    def note(self, word: str, reason: str) -> None:
        self.notes.append(Note(word=word, reason=reason))

    def add(self, option: Option, text: str) -> None:
        """One option with its value."""
        name = option.names.split()[-1]
        word = name if option.flag else f"{name} {text}"
        value = option.convert(shell.expand(text, self._env))
        if option.variable == WORKERS:
            self._add_workers(word, value or "")
        elif option.variable == ENV and value and "=" in value:
            self.variables[value.partition("=")[0]] = value.partition("=")[2]
        elif option.variable in ("app", "attribute") and value:
            self.special[option.variable] = value
        elif option.variable and value is not None:
            self.variables[option.variable] = value
        else:
            self.note(word, option.why)

    def _add_workers(self, word: str, value: str) -> None:
        text = shell.default(value)
        if text.isdecimal() and int(text) > 0:
            self.workers = int(text)
            self.note(word, "the operator sizes the workers within spec.workers")
        else:
            self.note(word, "the number is not known here: workers.cpu and workers.memory assume 1")

    def add_python(self, options: Sequence[str]) -> None:
        """Options of the interpreter become the variables that do the same."""
        left = list(options)
        while left:
            word = left.pop(0)
            value = left.pop(0) if word in _PYTHON_VALUES and left else ""
            if word in _PYTHON_VARIABLES:
                name, setting = _PYTHON_VARIABLES[word]
                self.variables[name] = setting
            elif word == "-W":
                self.variables[_PYTHON_VALUES[word]] = value
            elif (word, value) == ("-X", "dev"):
                self.variables["PYTHONDEVMODE"] = "1"
            else:
                self.note(f"{word} {value}".strip(), "set the PYTHON* variable that does the same")

    def exports_and_variables(self) -> tuple[dict[str, str], dict[str, str]]:
        """Variables whose values only a shell can expand, and all others."""
        exports = {name: value for name, value in self.variables.items()
                   if "$" in value.replace("$(", "")}  # fmt: skip
        return exports, {k: v for k, v in self.variables.items() if k not in exports}
