"""Simulates the operator's ``decide`` and other autoscalers on a model of a fleet."""
