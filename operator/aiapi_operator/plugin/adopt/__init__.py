"""``kubectl aiapi adopt``: turns a Deployment and what belongs to it into an AIApi."""
