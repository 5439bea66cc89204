"""search terms lie in the order of the list

Revision ID: 0018_terms_in_list_order
Revises: 0017_invoice_payment
Create Date: 2026-11-28 21:30:00.000000

"""

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = "0018_terms_in_list_order"
down_revision = "0017_invoice_payment"
branch_labels = None
depends_on = None

TERM = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
FILL = 'UPDATE order_term SET placed_at = (SELECT o.placed_at FROM "order" o WHERE o.id = order_term.order_id)'
COPY = (
    "INSERT INTO order_term (order_id, term, source, placed_at) SELECT t.order_id, t.term, t.source, o.placed_at "
    'FROM order_term_before t JOIN "order" o ON o.id = t.order_id'
)
COPY_BACK = "INSERT INTO order_term (order_id, term, source) SELECT order_id, term, source FROM order_term_before"


def upgrade():
    op.drop_index("ix_order_term_term", table_name="order_term")
    if op.get_bind().dialect.name == "sqlite":
        made_anew(COPY, sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False))
    else:
        op.add_column("order_term", sa.Column("placed_at", sa.DateTime(timezone=True), nullable=True))
        op.execute(FILL)
        op.alter_column("order_term", "placed_at", nullable=False)
    op.create_index("ix_order_term_term", "order_term", ["term", "placed_at", "order_id"])


def downgrade():
    op.drop_index("ix_order_term_term", table_name="order_term")
    if op.get_bind().dialect.name == "sqlite":
        made_anew(COPY_BACK)
    else:
        op.drop_column("order_term", "placed_at")
    op.create_index("ix_order_term_term", "order_term", ["term", "order_id"])


def made_anew(copy, *more):
    """SQLite can add no column that must not be empty; Alembic's copy of a table would lose WITHOUT ROWID."""
    op.rename_table("order_term", "order_term_before")
    op.create_table(
        "order_term",
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("term", TERM, nullable=False),
        sa.Column("source", sa.String(24), nullable=False),
        *more,
        sa.ForeignKeyConstraint(["order_id"], ["order.id"], name=op.f("fk_order_term_order_id")),
        sa.PrimaryKeyConstraint("order_id", "term", "source", name=op.f("pk_order_term")),
        sqlite_with_rowid=False,
    )
    op.execute(copy)
    op.drop_table("order_term_before")
