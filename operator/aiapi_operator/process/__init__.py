"""The operator process: settings, log setup and the health server."""
