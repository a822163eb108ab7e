"""Vasari recommends art by looking at it."""

from vasari._version import __version__

__all__ = ["__version__"]
