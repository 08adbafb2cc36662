"""The Service proxy: a user-space kube-proxy in a separate process."""
