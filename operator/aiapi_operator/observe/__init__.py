"""Samples of the fleet, from the pods' admin ports."""
