"""A small AI API as a user might write it, and a stand-in for the LLM that it calls."""
