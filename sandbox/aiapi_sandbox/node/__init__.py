"""The sandbox's one node: pods' containers as local processes."""
