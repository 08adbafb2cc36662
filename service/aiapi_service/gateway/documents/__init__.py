"""Documents of a tenant: put, read, searched by meaning, deleted."""
