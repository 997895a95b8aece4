"""Offers, and the updates of Telegram that were answered"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.create_table(
        "offers",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("price", sa.Numeric(10, 2), nullable=False),
        sa.Column("seller", sa.BigInteger, nullable=False),
        sa.Column("seller_name", sa.String(100), nullable=False),
        sa.Column("offered_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("buyer", sa.BigInteger),
        sa.Column("buyer_name", sa.String(100)),
        sa.Column("bought_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("price >= 0", name="price_not_negative"),
    )
    op.create_index("offers_open", "offers", ["id"], postgresql_where=sa.text("buyer IS NULL"))
    op.create_table(
        "updates",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("reply", sa.Text, nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )


def downgrade():
    op.drop_table("updates")
    op.drop_table("offers")
