"""How a command ends: with one line about the cause, and exit code 1 when it failed."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from aiapi_operator.cluster.connection import NotConfiguredError
from aiapi_operator.process.listener import ListenError


@contextmanager
def exit_on_failure(log: logging.Logger, name: str) -> Iterator[None]:
    """Log why ``name`` failed, and exit. Only an unexpected cause is logged with its traceback."""
    try:
        yield
    except NotConfiguredError as error:
        _exit(log, f"no cluster is configured: {error}. Set --kubeconfig or KUBECONFIG.")
    except ListenError as error:
        _exit(log, str(error))
    except Exception:
        log.exception("%s failed", name)
        sys.exit(1)


def _exit(log: logging.Logger, cause: str) -> NoReturn:
    log.error("%s", cause)
    sys.exit(1)
