"""Postgres: the pool, the schema and what several workers and pods must agree on."""
