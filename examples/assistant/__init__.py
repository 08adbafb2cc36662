"""A small AI API as a user might write it, and a fake LLM for it."""
