"""Encoders that are already trained."""
