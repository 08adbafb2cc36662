"""Models that run in the pod, from the packages of the extra ``aiapi[local]``."""
