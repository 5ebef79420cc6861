"""Comparisons: many trainings under one protocol, each kept as it finishes, and one table of them all."""
