"""The Service proxy: a user-space kube-proxy in a process of its own."""
