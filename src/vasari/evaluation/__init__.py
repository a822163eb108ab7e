"""Protocols that hide part of the log, the comparison of models on it, and its results."""
