"""Postgres: the connection pool, the schema, and state shared by workers and pods."""
