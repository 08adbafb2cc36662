"""Files with secrets: written atomically with mode 0600 and reloaded on change."""

import errno
import logging
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Generic, TypeVar

logger = logging.getLogger("aiapi.auth")

_Content = TypeVar("_Content")
_CHECK_SECONDS = 5.0


class SecretFileError(Exception):
    """A file cannot be used. The message names the file and never quotes its content."""


def write_secret(path: Path, text: str, *, keep: bool = False) -> None:
    """Write a file atomically with mode 0600. With ``keep``, an existing file stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _check_folder(path.parent)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if keep:
            # Several workers may create the file at once: the first link wins.
            _link_if_absent(draft, path)
        else:
            draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _check_folder(folder: Path) -> None:
    """The owner of the folder can replace files in it, so it must be us or root."""
    if os.geteuid() != 0 and folder.stat().st_uid not in {0, os.geteuid()}:
        raise PermissionError(errno.EPERM, "the folder belongs to another user")


def _link_if_absent(draft: Path, path: Path) -> None:
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return


class WatchedFile(Generic[_Content]):
    """A file that may be replaced while the service runs, as Kubernetes does with Secrets.

    When the file cannot be read, the last content stays in effect: losing a file must not lock out
    all callers.
    """

    def __init__(self, path: Path, parse: Callable[[str], _Content]) -> None:
        self.path = path
        self._parse = parse
        self._next_check = 0.0
        self._seen: tuple[int, int] | None = None
        self._content = self._read()

    def _read(self) -> _Content:
        try:
            status = self.path.stat()
            content = self._parse(self.path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise SecretFileError(f"{self.path}: {reason}") from None
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise SecretFileError(
                f"{self.path}: invalid content ({type(error).__name__})"
            ) from None
        self._seen = (status.st_mtime_ns, status.st_ino)
        return content

    def content(self) -> _Content:
        """The content of the file, at most a few seconds old."""
        now = monotonic()
        if now >= self._next_check:
            self._next_check = now + _CHECK_SECONDS
            self._reload()
        return self._content

    def _reload(self) -> None:
        try:
            status = self.path.stat()
            if (status.st_mtime_ns, status.st_ino) != self._seen:
                self._content = self._read()
                logger.info("reloaded %s", self.path)
        except OSError as error:
            logger.warning("%s: %s; keeping the previous content", self.path, error.strerror)
        except SecretFileError as error:
            logger.warning("%s; keeping the previous content", error)
