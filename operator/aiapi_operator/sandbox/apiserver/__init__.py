"""The sandbox's Kubernetes API server: what kubectl, Helm, Kopf and the official client need, no more."""
