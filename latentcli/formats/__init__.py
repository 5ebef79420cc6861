"""Bytes: readers that trust no file, writers that give the same bytes for the same content, atomic files."""
