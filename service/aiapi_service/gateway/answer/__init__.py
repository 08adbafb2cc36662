"""Answers from a tenant's documents: the chain of embedding, search, model and store."""
