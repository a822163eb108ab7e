"""The catalogue, the log of interactions, and the integer forms that everything else computes with."""
