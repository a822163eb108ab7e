"""Top-k: of rows of scores, and of vectors by inner product, exactly or through a graph."""

from vasari.retrieval.approximate import ApproximateIndex
from vasari.retrieval.search import ExactIndex, exact_top_k
from vasari.retrieval.topk import top_k

__all__ = ["ApproximateIndex", "ExactIndex", "exact_top_k", "top_k"]
