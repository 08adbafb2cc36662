"""What can go wrong with the database, in the words of those who use it."""


class StoreError(Exception):
    """The database, or what is in it, is not as it must be. The message says what to do."""


class StoreUnavailableError(Exception):
    """The database does not answer now.

    A statement or transaction that raised this was carried out whole or not at all. Which of the
    two cannot always be known (the connection may break while the server says "done"), so every
    write can be sent again without doing it twice.
    """

    def __init__(self, reason: str, *, retry_after: int = 2) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
