"""All that talks to Kubernetes, and the only importer of its client."""
