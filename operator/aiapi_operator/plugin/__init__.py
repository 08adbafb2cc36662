"""``kubectl aiapi``: what people at a terminal ask of their AIApis, and the three switches."""
