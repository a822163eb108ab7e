"""Alembic's entry: the caller brings the connection and the transaction."""

from alembic import context

from vasari.serving.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
