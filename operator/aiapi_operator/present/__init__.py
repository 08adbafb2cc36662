"""Formats of numbers and charts, for every page, table and sentence. Pure, no dependencies."""
