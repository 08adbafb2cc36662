"""The object store behind the API server: writes, watches, deletion."""
