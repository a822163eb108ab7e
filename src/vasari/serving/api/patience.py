"""`asyncio.timeout`, which came with Python 3.11; unlike `asyncio.wait_for` it needs no task of its own."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 11):
    from asyncio import timeout
else:
    from async_timeout import timeout

__all__ = ["timeout"]
