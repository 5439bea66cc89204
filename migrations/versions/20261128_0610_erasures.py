"""letters and library orders that were erased

Revision ID: 0004
Revises: 0003
Create Date: 2026-11-28 06:10:00.000000

"""

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("letter", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_letter_message_id",
        "letter",
        ["message_id"],
        sqlite_where=sa.text("message_id <> ''"),
        postgresql_where=sa.text("message_id <> ''"),
    )
    op.add_column("library_order", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))


def downgrade():
    op.drop_column("library_order", "erased_at")
    op.drop_index("ix_letter_message_id", "letter")
    op.drop_column("letter", "erased_at")
