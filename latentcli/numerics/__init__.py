"""Numbers: metrics, batches, randomness, precision; no models, and no files."""
