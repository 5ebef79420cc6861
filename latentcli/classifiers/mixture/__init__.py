"""The semi-supervised Gaussian mixture: expectation maximisation, and a classifier whose components have classes."""
