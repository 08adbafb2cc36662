"""The served kinds: resources, fields, defaulting and validation."""
