"""aiapi-admin: manages users, API keys and signing keys through the database."""
