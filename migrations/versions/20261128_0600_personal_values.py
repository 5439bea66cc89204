"""personal values beside the timeline

Revision ID: 0003
Revises: 0002
Create Date: 2026-11-28 06:00:00.000000

"""

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "personal_value",
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("field", sa.String(length=40), nullable=False),
        sa.Column("salt", sa.String(length=32), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["order_id", "seq"],
            ["timeline_entry.order_id", "timeline_entry.seq"],
            name=op.f("fk_personal_value_order_id_seq"),
        ),
        sa.PrimaryKeyConstraint("order_id", "seq", "field", name=op.f("pk_personal_value")),
    )


def downgrade():
    op.drop_table("personal_value")
