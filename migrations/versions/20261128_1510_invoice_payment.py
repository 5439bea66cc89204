"""invoices paid by a link: pages, payments that pay an invoice, and the letters about them; days off

Revision ID: 0017_invoice_payment
Revises: 0016_finding
Create Date: 2026-11-28 13:00:00.000000

"""

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = "0017_invoice_payment"
down_revision = "0016_finding"
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
    "withdrawal_acknowledged",
    "withdrawal_stated",
    "library_reminder",
    "library_attention",
    "library_paper",
    "library_due",
    "library_posted",
]
NEW_LETTERS = ["library_paid", "library_refunded"]
ROLES = ["order", "surplus", "orphan"]
NEW_ROLES = ["invoice"]
FLAGS = ("paid_online", "disputed")


def among(column, names):
    return "{} IN ({})".format(column, ", ".join(f"'{name}'" for name in names))


def enum_of(names, name):
    return sa.Enum(*names, name=name, native_enum=False, create_constraint=True, length=40)


def upgrade():
    for flag in FLAGS:
        op.add_column("paper", sa.Column(flag, sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("library_rules", sa.Column("holidays", sa.Text(), server_default="", nullable=False))
    op.create_table(
        "invoice_attempt",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("paper_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=100), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.Column("currency", enum_of(["GBP", "USD", "EUR"], "currency"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", enum_of(["new", "open", "complete", "closed"], "attemptstate"), nullable=False),
        sa.Column("checkout_id", sa.String(length=100), nullable=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("amount > 0", name=op.f("ck_invoice_attempt_amount")),
        sa.ForeignKeyConstraint(["paper_id"], ["paper.id"], name=op.f("fk_invoice_attempt_paper_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice_attempt")),
        sa.UniqueConstraint("checkout_id", name=op.f("uq_invoice_attempt_checkout_id")),
        sa.UniqueConstraint("key", name=op.f("uq_invoice_attempt_key")),
        sa.UniqueConstraint("paper_id", "number", name=op.f("uq_invoice_attempt_paper_id_number")),
    )
    op.create_index("ix_invoice_attempt_state_expires_at", "invoice_attempt", ["state", "expires_at"])
    with op.batch_alter_table("payment", schema=None) as batch_op:
        batch_op.add_column(sa.Column("paper_id", sa.Integer(), nullable=True))
        batch_op.create_foreign_key(batch_op.f("fk_payment_paper_id"), "paper", ["paper_id"], ["id"])
        batch_op.drop_constraint(batch_op.f("ck_payment_paymentrole"), type_="check")
        batch_op.create_check_constraint(batch_op.f("ck_payment_paymentrole"), among("role", [*ROLES, *NEW_ROLES]))
        batch_op.create_index(batch_op.f("ix_payment_paper_id"), ["paper_id"], unique=False)
        batch_op.create_index(
            "uq_payment_invoice",
            ["paper_id"],
            unique=True,
            sqlite_where=sa.text("role = 'invoice'"),
            postgresql_where=sa.text("role = 'invoice'"),
        )
    with op.batch_alter_table("letter", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("ck_letter_kind"), type_="check")
        batch_op.create_check_constraint(batch_op.f("ck_letter_kind"), among("kind", [*LETTERS, *NEW_LETTERS]))


def downgrade():
    letter = sa.table("letter", sa.column("kind", sa.String))
    op.execute(letter.delete().where(letter.c.kind.in_(NEW_LETTERS)))
    with op.batch_alter_table("letter", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("ck_letter_kind"), type_="check")
        batch_op.create_check_constraint(batch_op.f("ck_letter_kind"), among("kind", LETTERS))
    # The money was received all the same: without its invoice it is an orphan's.
    payment = sa.table("payment", sa.column("role", sa.String), sa.column("paper_id", sa.Integer))
    op.execute(payment.update().where(payment.c.paper_id.is_not(None)).values(role="orphan"))
    op.drop_index("uq_payment_invoice", "payment")
    op.drop_index(op.f("ix_payment_paper_id"), "payment")
    with op.batch_alter_table("payment", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_payment_paper_id"), type_="foreignkey")
        batch_op.drop_column("paper_id")
        batch_op.drop_constraint(batch_op.f("ck_payment_paymentrole"), type_="check")
        batch_op.create_check_constraint(batch_op.f("ck_payment_paymentrole"), among("role", ROLES))
    op.drop_index("ix_invoice_attempt_state_expires_at", "invoice_attempt")
    op.drop_table("invoice_attempt")
    op.drop_column("library_rules", "holidays")
    for flag in FLAGS:
        op.drop_column("paper", flag)
