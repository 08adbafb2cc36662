"""What the user decides: the name of the AIApi, its app, and the container that is the app."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiapi_operator.api.aiapi import MAX_NAME_LENGTH
from aiapi_operator.plugin.adopt import arguments, command_line, server_options
from aiapi_operator.plugin.adopt.related import Belongings, title
from aiapi_operator.plugin.adopt.remarks import AdoptionError

_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the user decides."""

    name: str = ""
    app: str = ""
    command: str = ""
    container: str = ""
    mode: str = "Recommend"


def aiapi_name(given: Belongings, choices: Choices) -> str:
    """The name of the AIApi, which must not be that of an object that it would create."""
    name = choices.name or f"{given.name}-aiapi"
    if len(name) > MAX_NAME_LENGTH or not _NAME.fullmatch(name):
        raise AdoptionError(
            f"{name!r} is not a valid name of an AIApi: at most {MAX_NAME_LENGTH} lower-case"
            " letters, digits and dashes, starting with a letter. Choose one with --name"
        )
    taken = [title(each) for each in (given.deployment, *given.others)
             if each["metadata"]["name"] == name
             and each["kind"] in ("Deployment", "Service", "PodDisruptionBudget")]  # fmt: skip
    if taken:
        raise AdoptionError(
            f"the AIApi would create a {taken[0]}, which exists. Choose another name with --name"
        )
    return name


def chosen_container(
    given: list[dict[str, Any]], choices: Choices, deployment: str
) -> dict[str, Any]:
    """The container of the app: the one that is named, or that starts a server, or the first."""
    names = [each.get("name", "") for each in given]
    if not given:
        raise AdoptionError("spec.template.spec.containers is empty: there is no app to adopt")
    if choices.container:
        if choices.container not in names:
            raise AdoptionError(
                f"there is no container {choices.container!r}; --container is one of:"
                f" {', '.join(names)}"
            )
        return given[names.index(choices.container)]
    serving = [each for each in given if _serves(each)]
    named = [each for each in given if each.get("name") == deployment]
    return [*serving, *named, *given][0]


def _serves(each: Mapping[str, Any]) -> bool:
    env = {item["name"]: item.get("value") or "" for item in each.get("env") or ()}
    argv = [*(each.get("command") or ()), *(each.get("args") or ())]
    try:
        command_line.read(argv, env)
    except AdoptionError:
        return any(arguments.basename(word) in server_options.SERVERS for word in argv)
    return True
