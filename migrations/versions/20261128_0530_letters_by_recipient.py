"""letters are looked up by recipient

Revision ID: 0002
Revises: 0001

"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade():
    op.create_index("ix_letter_recipient_sent_at", "letter", ["recipient", "sent_at"])


def downgrade():
    op.drop_index("ix_letter_recipient_sent_at", table_name="letter")
