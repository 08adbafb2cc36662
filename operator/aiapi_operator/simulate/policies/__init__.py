"""Scaling policies: the operator's own, other autoscalers, and two baselines."""
