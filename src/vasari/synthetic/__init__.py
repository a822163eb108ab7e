"""A gallery painted by the program, and collectors simulated on it or on any catalogue with pictures."""

from vasari.synthetic.collect import simulate_collectors
from vasari.synthetic.gallery import gallery
from vasari.synthetic.market import Market
from vasari.synthetic.taste import Taste

__all__ = ["Market", "Taste", "gallery", "simulate_collectors"]
