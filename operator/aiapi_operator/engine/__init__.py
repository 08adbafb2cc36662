"""Ticks of AIApis: adopt, reconcile, observe, size, act, report."""
