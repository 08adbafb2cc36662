"""Chooses the interpreter that serves, or says why none can."""

import os
import sys
from collections.abc import Iterator

from aiapi_runtime.launcher import candidates, probe
from aiapi_runtime.launcher.refusal import Refusal

# What PyInstaller puts beside a frozen app.
_FROZEN = ("base_library.zip", os.path.join("_internal", "base_library.zip"))


def choose(launcher: str, app: str, app_dir: str) -> probe.Interpreter:
    """The first interpreter with all of the app's packages, or else the one that lacks least."""
    found = []  # type: list[probe.Interpreter]
    for one in _look_at_all(launcher, app, app_dir):
        if one.can_serve and not one.missing:
            return one
        found.append(one)
    able = [one for one in found if one.can_serve]
    if not able:
        raise _none_can_serve(found, app_dir)
    best = min(able, key=lambda one: len(one.missing))
    if app.partition(":")[0].partition(".")[0] in best.missing:
        raise _not_found(app, f"no module named {best.missing[0]}", able, app_dir)
    return best


def not_found(launcher: str, app: str, why: str, app_dir: str) -> Refusal:
    """The import of the app did not find a module, which no interpreter of the image can change."""
    found = list(_look_at_all(launcher, app, app_dir))
    return _not_found(app, why, found, app_dir)


def _look_at_all(launcher: str, app: str, app_dir: str) -> "Iterator[probe.Interpreter]":
    for path in candidates.candidates():
        if sys.executable and candidates.same(path, sys.executable):
            yield probe.Interpreter(sys.executable, probe.answer(app, app_dir))
        else:
            yield probe.ask(path, launcher, app)


def _none_can_serve(found: "list[probe.Interpreter]", app_dir: str) -> Refusal:
    pythons = [one for one in found if one.version]
    seen = ", ".join(str(one) for one in found) or "none"
    if not pythons:
        if _is_frozen(app_dir) or "AIAPI_PYTHON" in os.environ:
            return _frozen(seen)
        return Refusal("NoPython", f"no Python interpreter works in this image; found: {seen}")
    if any(one.is_cpython for one in pythons):
        return Refusal(
            "PythonTooOld",
            f"the runtime needs Python 3.10 or later; found: {seen}. Build the image on a later "
            "Python, or name a later one that the image has in spec.runtime.python",
        )
    return Refusal(
        "NotCPython",
        f"the runtime needs CPython; found: {seen}. Build the image on CPython 3.10 or later, or "
        "name one that the image has in spec.runtime.python",
    )


def _not_found(app: str, why: str, looked_at: "list[probe.Interpreter]", app_dir: str) -> Refusal:
    if _is_frozen(app_dir):
        return _frozen(", ".join(str(one) for one in looked_at))
    seen = ", ".join(
        "{}{}".format(one, " lacks " + ", ".join(one.missing[:5]) if one.missing else "")
        for one in looked_at
    )
    return Refusal(
        "AppNotFound",
        f"{app} cannot be imported: {why}. Looked at {seen}, in directory "
        f"{os.path.abspath(app_dir)}. Check spec.app; name the interpreter with the app's packages "
        "in spec.runtime.python, or the directory of the app's modules in AIAPI_APP_DIR",
    )


def _is_frozen(app_dir: str) -> bool:
    return bool(getattr(sys, "frozen", False)) or any(
        os.path.exists(os.path.join(app_dir, name)) for name in _FROZEN
    )


def _frozen(seen: str) -> Refusal:
    return Refusal(
        "FrozenApp",
        "the app is frozen into a program of its own (PyInstaller, Nuitka), whose modules no other "
        f"interpreter can import; found: {seen}. Build an image with Python and the app's packages",
    )
