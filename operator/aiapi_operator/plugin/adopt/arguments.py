"""Reads the arguments of a server: its app, its options, and what is unknown."""

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import click

from aiapi_operator.plugin.adopt.remarks import AdoptionError
from aiapi_operator.plugin.adopt.server_options import Option, Server

_APP = re.compile(r"(?:asgi:|wsgi:)?([A-Za-z_]\w*(?:\.\w+)*(?::[A-Za-z_][\w.]*)?)(\(\))?")
_FILE = re.compile(r"[\w./-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The arguments of a server."""

    app: str = ""
    """As given; empty if it is not given."""
    given: tuple[tuple[Option, str], ...] = ()
    """Each option with its value, in order."""
    unknown: tuple[str, ...] = field(default=())


def read(server: Server, words: Sequence[str], env: Mapping[str, str]) -> Arguments:
    """Read the arguments and the server's own environment variables."""
    inherited = shlex.split(env.get(server.arguments_variable, ""))
    given, rest = _parse(server, [*inherited, *words])
    named = {option for option, _ in given}
    given = [*_from_variables(server, env, named), *given]
    position = _position(rest, server)
    if position is None:
        return Arguments(app=env.get(f"{server.prefix}APP", ""), given=tuple(given),
                         unknown=tuple(rest))  # fmt: skip
    unknown = (*rest[:position], *rest[position + 1 :])
    return Arguments(app=rest[position], given=tuple(given), unknown=unknown)


def _position(words: Sequence[str], server: Server) -> int | None:
    """Where the app is. A word that is only a module may be the value of an unknown option."""
    found = [at for at, word in enumerate(words) if _is_app(word, server)]
    sure = [at for at in found if ":" in words[at] or words[at].endswith(".py")]
    return sure[0] if sure else found[-1] if found else None


def _is_app(word: str, server: Server) -> bool:
    pattern = _FILE if server.name == "fastapi" else _APP
    return "$" in word or (not word.startswith("-") and pattern.fullmatch(word) is not None)


def app_path(server: Server, app: str) -> str:
    """``module:attribute`` of an app as it is given to a server."""
    found = _APP.fullmatch(app)
    if found is None:
        raise AdoptionError(
            f"{app!r} is not module:attribute, as in assistant.main:app: name the app with --app"
        )
    path = found[1]
    return path if ":" in path else f"{path}:{server.attribute}"


def _parse(server: Server, words: Sequence[str]) -> tuple[list[tuple[Option, str]], list[str]]:
    """Options and all other words. click reads all spellings: --a=b, --a b, -ab, -a b."""
    params: list[click.Parameter] = [
        click.Option([f"option_{at}", *option.names.split()], multiple=True)
        if not option.flag
        else click.Option([f"option_{at}", *option.names.split()], count=True)
        for at, option in enumerate(server.options)
    ]
    rest = click.Argument(["rest"], nargs=-1, type=click.UNPROCESSED)
    settings = {"ignore_unknown_options": True, "help_option_names": ["--help"]}
    command = click.Command(server.name, params=[*params, rest], context_settings=settings)
    try:
        ctx = command.make_context(server.name, list(words), resilient_parsing=True)
    except click.UsageError as error:
        raise AdoptionError(f"{server.name} {shlex.join(words)}: {error.message}") from error
    found = []
    for at, option in enumerate(server.options):
        values = ctx.params.get(f"option_{at}") or ()
        texts = [option.flag] if option.flag and values else [] if option.flag else list(values)
        found += [(option, text) for text in texts]
    return found, list(ctx.params.get("rest") or ())


def _from_variables(
    server: Server, env: Mapping[str, str], named: set[Option]
) -> list[tuple[Option, str]]:
    """Options that the server reads from its environment and the command does not set."""
    if not server.prefix:
        return []
    found = []
    for option in server.options:
        long = option.names.split()[-1].removeprefix("--")
        name = f"{server.prefix}{long.upper().replace('-', '_')}"
        if option not in named and name in env:
            value = env[name]
            if option.flag and value.lower() in ("0", "false", "no", "off", ""):
                continue
            found.append((option, option.flag or value))
    return found


def expand(text: str, env: Mapping[str, str]) -> str:
    """Expand the ``$(NAME)`` of Kubernetes if the value is known."""
    return re.sub(
        r"\$\$|\$\(([^()\s$]+)\)",
        lambda found: "$" if found[0] == "$$" else env.get(found[1], found[0]),
        text,
    )


def basename(word: str) -> str:
    """The name of a program without its folder."""
    return os.path.basename(word)  # noqa: PTH119 - a path in a container
