"""Files with secrets: written whole or not at all, for their owner alone; read again on change."""

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
_LOOK_SECONDS = 5.0


class SecretFileError(Exception):
    """A file cannot be used. The message names it, and nothing of what is in it."""


def write_secret(path: Path, text: str, *, keep: bool = False) -> None:
    """Put a file with mode 0600 in place at once; with ``keep``, only where there is none."""
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
            # Several workers may make the first one at once: the first link wins.
            _link_unless_there(draft, path)
        else:
            draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _check_folder(folder: Path) -> None:
    """Whoever owns the folder can put other files in place of ours."""
    if os.geteuid() != 0 and folder.stat().st_uid not in {0, os.geteuid()}:
        raise PermissionError(errno.EPERM, "its folder belongs to somebody else")


def _link_unless_there(draft: Path, path: Path) -> None:
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return


class WatchedFile(Generic[_Content]):
    """A file that may be replaced while the service runs, as Kubernetes does with Secrets.

    One that cannot be read any more leaves what was read before in force: losing a file is no
    reason to lock everybody out.
    """

    def __init__(self, path: Path, parse: Callable[[str], _Content]) -> None:
        self.path = path
        self._parse = parse
        self._look_at = 0.0
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
                f"{self.path}: not as it must be ({type(error).__name__})"
            ) from None
        self._seen = (status.st_mtime_ns, status.st_ino)
        return content

    def content(self) -> _Content:
        """What is in the file, at most a few seconds old."""
        now = monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK_SECONDS
            self._look()
        return self._content

    def _look(self) -> None:
        try:
            status = self.path.stat()
            if (status.st_mtime_ns, status.st_ino) != self._seen:
                self._content = self._read()
                logger.info("read %s again", self.path)
        except OSError as error:
            logger.warning("%s: %s; what was read before holds", self.path, error.strerror)
        except SecretFileError as error:
            logger.warning("%s; what was read before holds", error)
