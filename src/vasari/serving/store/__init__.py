"""The store: what visitors, buyers and owners did, on disk before it is acknowledged."""
