"""indexes of the list of orders that decide several filters at once

Revision ID: 0016_finding
Revises: 0015_library_desk
Create Date: 2026-11-28 15:00:00.000000

"""

from alembic import op


# revision identifiers, used by Alembic.
revision = "0016_finding"
down_revision = "0015_library_desk"
branch_labels = None
depends_on = None

FILTERS = ("payment_state", "fulfilment_state", "country")


def upgrade():
    for name in FILTERS:
        _replace(name, *(other for other in FILTERS if other != name))


def downgrade():
    for name in FILTERS:
        _replace(name)


def _replace(name, *others):
    op.drop_index(f"ix_order_{name}_listed", table_name="order")
    op.create_index(f"ix_order_{name}_listed", "order", [name, "placed_at", "id", *others])
