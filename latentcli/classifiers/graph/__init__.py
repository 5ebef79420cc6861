"""Labels that spread over the graph of nearest neighbours, from a few labelled points to all others."""
