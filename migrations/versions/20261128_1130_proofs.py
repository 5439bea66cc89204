"""what was seen of the world: webhooks that were delivered, test letters that have arrived

Revision ID: 0011_proofs
Revises: 0010
Create Date: 2026-11-28 11:30:00.000000

"""

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = "0011_proofs"
down_revision = "0010"
branch_labels = None
depends_on = None

LETTERS = [
    "order_paid",
    "payment_delayed",
    "payment_failed",
    "posted",
    "refunded",
    "late_payment_refunded",
    "second_payment_refunded",
    "refund_failed",
    "order_link",
    "library_order",
    "library_acknowledged",
    "new_order",
    "attention",
    "invitation",
]


def kinds(names):
    return "kind IN ({})".format(", ".join(f"'{name}'" for name in names))


def upgrade():
    op.add_column("inbox_event", sa.Column("delivered", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_table(
        "mail_proof",
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("way", sa.String(length=600), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("arrived_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_mail_proof")),
    )
    with op.batch_alter_table("letter", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("ck_letter_kind"), type_="check")
        batch_op.create_check_constraint(batch_op.f("ck_letter_kind"), kinds([*LETTERS, "mail_test"]))


def downgrade():
    op.execute("DELETE FROM letter WHERE kind = 'mail_test'")
    with op.batch_alter_table("letter", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("ck_letter_kind"), type_="check")
        batch_op.create_check_constraint(batch_op.f("ck_letter_kind"), kinds(LETTERS))
    op.drop_table("mail_proof")
    op.drop_column("inbox_event", "delivered")
