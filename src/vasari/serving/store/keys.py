"""API keys: shown once, kept as a hash, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from vasari.serving.asks import Conflict
from vasari.serving.store import engine as engines
from vasari.serving.store.store import Store, now
from vasari.serving.store.tables import api_keys


def new_key(store: Store, name: str) -> str:
    """Make a key; this is the only time that it can be seen.

    Raises
    ------
    Conflict
        There is a key of that name.
    """
    key = f"vasari_{secrets.token_urlsafe(32)}"
    try:
        with engines.writing(store.engine) as connection:
            connection.execute(insert(api_keys).values(at=now(), name=name, digest=_digest(key)))
    except IntegrityError:
        raise Conflict(f"there is a key named {name!r}; revoke it first, or use another name") from None
    return key


def revoke_key(store: Store, name: str) -> bool:
    """Forget a key; says whether there was one."""
    with engines.writing(store.engine) as connection:
        return connection.execute(delete(api_keys).where(api_keys.c.name == name)).rowcount > 0


def any_keys(store: Store) -> bool:
    """Whether there is any key."""
    with engines.reading(store.engine) as connection:
        return connection.execute(select(api_keys.c.id).limit(1)).first() is not None


def holder(store: Store, key: str) -> str | None:
    """The name of the key, None if it is not known."""
    # A key has 256 random bits, so one round of SHA-256 hides it; slow hashes are for what people think up.
    digest = _digest(key)
    with engines.reading(store.engine) as connection:
        rows = connection.execute(select(api_keys.c.name, api_keys.c.digest)).all()
    found = None
    for row in rows:
        if hmac.compare_digest(row.digest, digest):
            found = row.name
    return found


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
