"""One strategy per kind: its defaults, and its validation on create and update."""
