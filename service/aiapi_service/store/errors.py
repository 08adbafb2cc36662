"""Errors of the database."""


class StoreError(Exception):
    """The database or its schema is not usable. The message says what to do."""


class StoreUnavailableError(Exception):
    """The database is not available.

    The statement or transaction may or may not have been committed, since the connection may break
    before the confirmation arrives. All writes are therefore idempotent.
    """

    def __init__(self, reason: str, *, retry_after: int = 2) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
