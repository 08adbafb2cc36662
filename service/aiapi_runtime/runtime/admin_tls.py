"""TLS of the admin port, with a certificate that may be replaced at any time."""

import logging
import ssl
from pathlib import Path

logger = logging.getLogger("aiapi.runtime")

_CERTIFICATE, _KEY = "tls.crt", "tls.key"


class AdminTls:
    """A context that follows the files of a folder, such as a mounted Secret."""

    def __init__(self, folder: str) -> None:
        self._certificate = Path(folder) / _CERTIFICATE
        self._key = Path(folder) / _KEY
        self.context = _context()
        self._loaded = self._versions()
        self._load(self.context)
        self._problem = ""

    def refresh(self) -> None:
        """Load the files if they changed. Connections stay; new ones get the new certificate.

        Unreadable files change nothing, and are read again the next time.
        """
        try:
            versions = self._versions()
            if versions == self._loaded:
                return
            # A failed load would leave the context without a key.
            self._load(_context())
            self._load(self.context)
        except OSError as error:
            self._report(f"the certificate of the admin port cannot be reloaded: {error}")
            return
        self._loaded = versions
        self._report("")
        logger.info("the certificate of the admin port was reloaded")

    def _report(self, problem: str) -> None:
        """Log a problem once, not each time."""
        if problem and problem != self._problem:
            logger.warning(problem)
        self._problem = problem

    def _load(self, context: ssl.SSLContext) -> None:
        context.load_cert_chain(self._certificate, self._key)

    def _versions(self) -> tuple[tuple[int, int], ...]:
        found = (path.stat() for path in (self._certificate, self._key))
        return tuple((each.st_ino, each.st_mtime_ns) for each in found)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
