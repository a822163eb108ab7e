"""Training triples: the six guidelines, uniform sampling, and the stream of batches."""

from vasari.sampling.context import SamplingContext
from vasari.sampling.guidelines import GUIDELINES, Rules
from vasari.sampling.leaks import verify_disjoint
from vasari.sampling.sampler import Sampler
from vasari.sampling.stream import stream
from vasari.sampling.triples import ARTIFICIAL, Triples

__all__ = [
    "ARTIFICIAL",
    "GUIDELINES",
    "Rules",
    "Sampler",
    "SamplingContext",
    "Triples",
    "stream",
    "verify_disjoint",
]
