"""refunds that repeat one that failed

Revision ID: 0006
Revises: 0005
Create Date: 2026-11-28 06:30:00.000000

"""

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table("refund", schema=None) as batch_op:
        batch_op.add_column(sa.Column("repeats_id", sa.Integer(), nullable=True))
        batch_op.create_unique_constraint(batch_op.f("uq_refund_repeats_id"), ["repeats_id"])
        batch_op.create_foreign_key(batch_op.f("fk_refund_repeats_id"), "refund", ["repeats_id"], ["id"])


def downgrade():
    with op.batch_alter_table("refund", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_refund_repeats_id"), type_="foreignkey")
        batch_op.drop_constraint(batch_op.f("uq_refund_repeats_id"), type_="unique")
        batch_op.drop_column("repeats_id")
