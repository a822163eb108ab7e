"""Top-k: of rows of scores, and of vectors by inner product, exactly or through a graph."""

from vasari.retrieval.approximate import ApproximateIndex
from vasari.retrieval.pruned import PrunedIndex
from vasari.retrieval.rerank import rerank
from vasari.retrieval.search import ExactIndex, exact_top_k
from vasari.retrieval.topk import top_k

__all__ = ["ApproximateIndex", "ExactIndex", "PrunedIndex", "exact_top_k", "rerank", "top_k"]
