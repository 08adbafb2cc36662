"""Access to the Kubernetes API. The only package that imports its client."""
