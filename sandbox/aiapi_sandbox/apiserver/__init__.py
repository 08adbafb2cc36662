"""The sandbox's Kubernetes API: what kubectl, Helm, Kopf and the official client need."""
