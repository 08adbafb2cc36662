"""The console: read-only web pages that show load, decisions and savings."""
