"""Why a container with an injected runtime does not start, and what to do. Pure.

The launcher prints one line ``aiapi: Reason: text`` before it exits. What happens before it runs
is only in the messages of the kubelet and the container runtime.
"""

import re

from aiapi_operator.api import AIApi
from aiapi_operator.api.runtime import DEFAULT_PYTHON
from aiapi_operator.manifests.runtime import LAUNCHER

Cause = tuple[str, str]
"""Reason and message of the condition."""

_LINE = re.compile(r"^aiapi: (?P<reason>(?:[A-Z]+[a-z]*)+): (?P<text>.{1,2000})", re.MULTILINE)
_MISSING = re.compile(
    r'exec: "(?P<program>[^"]+)": (?:executable file not found|[^\n]*no such file or directory)'
)
_REFUSED_VOLUME = (
    f"can't open file '{LAUNCHER}'",  # a container runtime that mounts an empty folder
    'failed to mkdir ""',  # a container runtime that ignores the image
)
_SERVE = "aiapi-serve"
_PORT = re.compile(r"cannot listen on \S+:(?P<port>\d+): Address already in use")
_ENDLESS = "takes longer than --start-limit"
_NOT_CALLABLE = re.compile(r"\bNotCallableError: (?P<text>.+)")
_EXIT = re.compile(r"^SystemExit\b")

LAUNCHER_REASONS = frozenset(
    {
        *("NoPython", "PythonTooOld", "NotCPython", "FrozenApp"),
        *("AppNotFound", "AppNotCallable", "ImportFailed", "RuntimeConflict"),
    }
)
"""Reasons of the launcher; its text says what to do."""


def cause(aiapi: AIApi, message: str) -> Cause | None:
    """The cause that a container's message names; None if it names none of these."""
    for line in _LINE.finditer(message):
        if line["reason"] in LAUNCHER_REASONS:
            return line["reason"], _sentence(line["text"])
    if any(sign in message for sign in _REFUSED_VOLUME):
        return "ImageVolumeRefused", (
            f"The node cannot mount the runtime image: {_sentence(last_line(message))} Set"
            " runtime.delivery: InitContainer in the values of the operator's chart."
        )
    if taken := _PORT.search(message):
        return "PortTaken", (
            f"Another container of the pod listens on port {taken['port']}, which the runtime"
            " needs. Give the container in spec.podTemplate, or the injected one, another port."
        )
    missing = _MISSING.search(message)
    return _not_found(aiapi, missing["program"]) if missing else None


def import_cause(aiapi: AIApi, failure: str) -> Cause | None:
    """The cause of a failed import that its last line does not explain."""
    app = aiapi.spec.app or "the bundled app"
    if _ENDLESS in failure:
        return "ImportNotFinished", import_takes_long(app, "longer than AIAPI_START_LIMIT")
    if found := _NOT_CALLABLE.search(failure):
        return "AppNotCallable", f"{found['text']}. Correct spec.app."
    if _EXIT.match(failure):
        return "ExitsOnImport", (
            f"The module of {app} ends the process when it is imported ({failure}). If it calls"
            " uvicorn.run() or another server, move the call below: if __name__ =="
            ' "__main__"; the runtime is the server.'
        )
    return None


def import_takes_long(app: str, time: str) -> str:
    """What to do about an import that does not end."""
    return (
        f"The import of {app} has not ended ({time}). Code at module level must not wait: move"
        ' uvicorn.run() below: if __name__ == "__main__", and connections into the lifespan of'
        " the app. If it only loads slowly, wait."
    )


def last_line(message: str) -> str:
    """The last line of a message that may be the end of a log; it names the exception."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _not_found(aiapi: AIApi, program: str) -> Cause | None:
    """A program that the image does not contain."""
    wanted = aiapi.spec.runtime
    if program == _SERVE:
        return "NoRuntime", (
            f"The image has no {_SERVE}. Set spec.app, and spec.runtime.source to Auto or Injected,"
            " so that the operator injects the runtime."
        )
    if wanted.entrypoint and program == wanted.entrypoint[0]:
        return "NoEntrypoint", f"The image has no {program}. Correct spec.runtime.entrypoint."
    if program == (wanted.python or DEFAULT_PYTHON):
        return "NoPython", (
            f"The image has no {program}. Set spec.runtime.python to the path of an interpreter in"
            " the image."
        )
    return None


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith(".") else f"{text}."
