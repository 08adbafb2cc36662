"""The Service proxy: what kube-proxy does, as one process that pumps bytes."""
