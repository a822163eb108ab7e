"""The first tables."""

import sqlalchemy as sa
from alembic import op

from vasari.serving.store.tables import Vector

revision = "0001"
down_revision = None

_number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make them."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE EXTENSION IF NOT EXISTS vector")
    op.create_table(
        "events",
        sa.Column("id", _number, primary_key=True, autoincrement=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("user_id", sa.Text),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("value", sa.Float, nullable=False),
    )
    op.create_table(
        "works",
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("added", sa.Boolean, nullable=False),
        sa.Column("original", sa.Boolean, nullable=False),
        sa.Column("changes", sa.Text, nullable=False),
        sa.Column("picture", sa.Text),
        sa.Column("extractor", sa.Text),
        sa.Column("features", Vector),
    )
    op.create_table(
        "sales",
        sa.Column("id", _number, primary_key=True, autoincrement=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("buyer", sa.Text, nullable=False),
        sa.Column("original", sa.Text, unique=True),
    )
    op.create_table(
        "idempotency",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("request", sa.String(64), nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
    )
    op.create_table(
        "exposures",
        sa.Column("id", _number, primary_key=True, autoincrement=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("user_id", sa.Text),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("cold", sa.Boolean, nullable=False),
        sa.Column("items", sa.Text, nullable=False),
    )
    op.create_index("exposures_at", "exposures", ["at"])
    op.create_table(
        "api_keys",
        sa.Column("id", _number, primary_key=True, autoincrement=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("digest", sa.String(64), nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    for name in ("api_keys", "exposures", "idempotency", "sales", "works", "events"):
        op.drop_table(name)
