"""The console: one read-only page that shows what the right-sizer sees, decides and saves."""
