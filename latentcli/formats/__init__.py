"""Bytes: readers that trust nothing, writers that repeat themselves, files written whole or not at all."""
