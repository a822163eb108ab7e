"""Exact top-k: of rows of scores, and of vectors by inner product."""

from vasari.retrieval.search import exact_top_k
from vasari.retrieval.topk import top_k

__all__ = ["exact_top_k", "top_k"]
