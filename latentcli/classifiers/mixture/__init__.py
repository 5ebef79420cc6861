"""The Gaussian mixture that a few labels name: expectation maximisation, and what is read of it."""
