"""Policies: the operator's own, its peers by their published laws, and two yardsticks."""
