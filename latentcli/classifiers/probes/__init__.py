"""Probes: classifiers of features that learn from labelled images alone."""
