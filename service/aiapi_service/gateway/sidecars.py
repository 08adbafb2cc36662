"""The gateway as the runtime's bundled app, with the sidecars it needs.

The supervisor loads this module, so it imports nothing heavy.
"""

import logging
import secrets
import socket
import sys
from collections.abc import MutableMapping
from pathlib import Path

from aiapi_runtime.runtime.sidecars import Sidecar
from aiapi_service.gateway.local import model
from aiapi_service.store import local
from aiapi_service.store.settings import default_data_dir

logger = logging.getLogger("aiapi.postgres")

APP = "aiapi_service.gateway.app:app"
_MODEL = "aiapi_service.gateway.local.model"


class Gateway:
    """The object of the entry point `aiapi_runtime.app`."""

    app = APP

    def sidecars(self, environ: MutableMapping[str, str]) -> list[Sidecar]:
        """Their addresses are put into `environ`, where the workers read them."""
        return [*_database(environ), *_local_model(environ)]


bundled = Gateway()


def _database(environ: MutableMapping[str, str]) -> list[Sidecar]:
    """A Postgres of the pod's own, where no other is named and one is installed."""
    named = environ.get("AIAPI_DATABASE_URL") or environ.get("AIAPI_DATABASE_URL_FILE")
    if named or environ.get("AIAPI_DATABASE_LOCAL") == "off" or not local.available():
        return []
    data_dir = Path(environ.get("AIAPI_DATA_DIR") or default_data_dir())
    if why := local.obstacle(data_dir):
        # Workers would wait for a server that never answers.
        logger.warning("there is no local database: %s", why)
        return []
    environ["AIAPI_DATABASE_URL"] = local.url(data_dir)
    argv = (sys.executable, "-P", "-m", "aiapi_service.store.local", str(data_dir))
    return [Sidecar("the local database", argv, logger="aiapi.postgres")]


def _local_model(environ: MutableMapping[str, str]) -> list[Sidecar]:
    choice = environ.get("AIAPI_LOCAL", "") or "auto"
    if choice == "off" or (choice == "auto" and environ.get("AIAPI_UPSTREAMS")):
        return []
    if environ.get("AIAPI_LOCAL_URL") or not model.available():
        return []
    key = secrets.token_urlsafe(32)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    environ["AIAPI_LOCAL_URL"] = f"http://127.0.0.1:{port}"
    environ["AIAPI_LOCAL_KEY"] = key
    argv = (sys.executable, "-P", "-m", _MODEL, port)
    return [Sidecar("the local model", argv, logger="aiapi.model")]
