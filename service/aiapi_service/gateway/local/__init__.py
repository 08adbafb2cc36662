"""Models that run on this machine, from packages alone: the extra ``aiapi[local]``."""
