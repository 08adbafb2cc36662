"""Prometheus metrics of the operator itself."""
