"""The API server, as far as kubectl, Helm, Kopf and the official client need it."""
