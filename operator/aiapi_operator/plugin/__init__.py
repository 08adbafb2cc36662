"""The ``kubectl aiapi`` commands: read the state of AIApis, and switch their mode."""
