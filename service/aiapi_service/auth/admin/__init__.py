"""aiapi-admin: users, API keys and signing keys, by those who can reach the database."""
