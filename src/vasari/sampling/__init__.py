"""Training triples: the six guidelines, uniform sampling, and the stream of batches."""
