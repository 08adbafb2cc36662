"""The node: a kubelet that runs containers as local processes."""
