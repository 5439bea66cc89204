"""statements of withdrawal; groups of articles, quotations of reviews

Revision ID: 0013_withdrawals
Revises: 0012_uploads
Create Date: 2026-11-28 11:30:00.000000

"""

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = "0013_withdrawals"
down_revision = "0012_uploads"
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
    "mail_test",
]
OF_WITHDRAWALS = ["withdrawal_acknowledged", "withdrawal_stated"]
WORRIES = [
    "checkout_refused",
    "amount_differs",
    "address_refused",
    "copies_missing",
    "paid_twice",
    "paid_late",
    "refund_failed",
    "dispute",
    "fraud_warning",
]


def among(column, names):
    return "{} IN ({})".format(column, ", ".join(f"'{name}'" for name in names))


def constrain(table, column, names):
    with op.batch_alter_table(table, schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f(f"ck_{table}_{column}"), type_="check")
        batch_op.create_check_constraint(batch_op.f(f"ck_{table}_{column}"), among(column, names))


def upgrade():
    with op.batch_alter_table("entry_text", schema=None) as batch_op:
        batch_op.add_column(sa.Column("quotation", sa.Text(), server_default="", nullable=False))
    # Written out, because making SQLite's table anew for a constraint would sweep out what refers to it.
    op.execute(
        'ALTER TABLE entry ADD COLUMN "group" VARCHAR(40)'
        " CONSTRAINT ck_entry_articlegroup CHECK (\"group\" IN ('debate', 'papers', 'publications', 'further'))"
    )
    constrain("letter", "kind", [*LETTERS, *OF_WITHDRAWALS])
    constrain("concern", "worry", [*WORRIES, "withdrawn"])
    op.create_table(
        "withdrawal",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("submission", sa.String(length=64), nullable=False),
        sa.Column("market", sa.String(length=16), nullable=False),
        sa.Column("stated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("number", sa.String(length=40), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_by", sa.String(length=200), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["order_id"], ["order.id"], name=op.f("fk_withdrawal_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_withdrawal")),
        sa.UniqueConstraint("submission", name=op.f("uq_withdrawal_submission")),
        sa.UniqueConstraint("token", name=op.f("uq_withdrawal_token")),
    )
    with op.batch_alter_table("withdrawal", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_withdrawal_order_id"), ["order_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_withdrawal_done_at_due_on"), ["done_at", "due_on"], unique=False)


def downgrade():
    op.drop_table("withdrawal")
    op.execute("DELETE FROM letter WHERE kind IN ('withdrawal_acknowledged', 'withdrawal_stated')")
    op.execute("DELETE FROM concern WHERE worry = 'withdrawn'")
    constrain("letter", "kind", LETTERS)
    constrain("concern", "worry", WORRIES)
    with op.batch_alter_table("entry", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("ck_entry_articlegroup"), type_="check")
        batch_op.drop_column("group")
    with op.batch_alter_table("entry_text", schema=None) as batch_op:
        batch_op.drop_column("quotation")
