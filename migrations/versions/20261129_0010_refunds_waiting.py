"""refunds that wait are found without reading those that are done; totals lie in the order in which they are added up

Revision ID: 0019_refunds_waiting
Revises: 0018_terms_in_list_order
Create Date: 2026-11-29 00:10:00.000000

"""

from alembic import op


# revision identifiers, used by Alembic.
revision = "0019_refunds_waiting"
down_revision = "0018_terms_in_list_order"
branch_labels = None
depends_on = None


def upgrade():
    op.create_index("ix_refund_waiting", "refund", ["state", "next_try_at", "claimed_until"])
    op.drop_index("ix_refund_state", table_name="refund")
    op.create_index(
        "ix_day_total_grouped", "day_total", ["month", "what", "currency", "key", "day", "number", "amount"]
    )
    op.drop_index("ix_day_total_month", table_name="day_total")


def downgrade():
    op.create_index("ix_day_total_month", "day_total", ["month"])
    op.drop_index("ix_day_total_grouped", table_name="day_total")
    op.create_index("ix_refund_state", "refund", ["state"])
    op.drop_index("ix_refund_waiting", table_name="refund")
