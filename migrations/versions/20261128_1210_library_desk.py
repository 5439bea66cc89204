"""the library desk: papers with numbers without gaps, copies of library orders, parcels, vendor papers

Revision ID: 0015_library_desk
Revises: 0014_routed
Create Date: 2026-11-28 10:20:00.000000

"""

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = "0015_library_desk"
down_revision = "0014_routed"
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
]
NEW_LETTERS = ["library_paper", "library_due", "library_posted"]
KINDS = ["quote", "pro_forma", "invoice", "credit_note"]
STAGES = ["none", "quoted", "ordered", "invoiced"]


def among(column, names):
    return "{} IN ({})".format(column, ", ".join(f"'{name}'" for name in names))


def enum_of(names, name):
    return sa.Enum(*names, name=name, native_enum=False, create_constraint=True, length=40)


def columns_of(table):
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}


def upgrade():
    # Written out, because SQLite would make the tables anew, and other tables refer to them. It also keeps some of
    # them when the migration is taken back.
    there = {table: columns_of(table) for table in ("library_order", "stock_movement", "library_rules")}
    for table, column in (
        (
            "library_order",
            "stage VARCHAR(40) DEFAULT 'none' NOT NULL"
            f" CONSTRAINT ck_library_order_stage CHECK ({among('stage', STAGES)})",
        ),
        ("library_order", "held INTEGER DEFAULT 0 NOT NULL"),
        ("library_order", "allocated INTEGER DEFAULT 0 NOT NULL"),
        (
            "library_order",
            "posted INTEGER DEFAULT 0 NOT NULL"
            " CONSTRAINT ck_library_order_copies CHECK (held >= 0 AND allocated >= 0 AND posted >= 0)",
        ),
        ("library_order", "informed TEXT DEFAULT '' NOT NULL"),
        (
            "stock_movement",
            "library_order_id INTEGER CONSTRAINT fk_stock_movement_library_order_id REFERENCES library_order (id)",
        ),
        ("library_rules", "valid_days INTEGER DEFAULT 30 NOT NULL"),
        ("library_rules", "terms_days INTEGER DEFAULT 30 NOT NULL"),
        ("library_rules", "before_due_days INTEGER DEFAULT 5 NOT NULL"),
        ("library_rules", "after_due_days INTEGER DEFAULT 7 NOT NULL"),
    ):
        if column.partition(" ")[0] not in there[table]:
            op.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
    op.create_index(
        op.f("ix_stock_movement_library_order_id"), "stock_movement", ["library_order_id"], unique=False
    )
    op.create_table(
        "library_parcel",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("library_order_id", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("carrier", sa.String(length=100), nullable=False),
        sa.Column("tracking", sa.String(length=100), nullable=False),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("posted_by", sa.String(length=200), nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_library_parcel_quantity")),
        sa.ForeignKeyConstraint(
            ["library_order_id"], ["library_order.id"], name=op.f("fk_library_parcel_library_order_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_library_parcel")),
    )
    op.create_index(
        op.f("ix_library_parcel_library_order_id"), "library_parcel", ["library_order_id"], unique=False
    )
    op.create_table(
        "paper_series",
        sa.Column("kind", enum_of(KINDS, "paperkind"), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_paper_series")),
    )
    op.create_table(
        "paper",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("library_order_id", sa.Integer(), nullable=False),
        sa.Column("kind", enum_of(KINDS, "paperkind"), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(length=20), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("issued_by", sa.String(length=200), nullable=False),
        sa.Column("currency", enum_of(["GBP", "USD", "EUR"], "currency"), nullable=False),
        sa.Column("copies", sa.Integer(), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("about_id", sa.Integer(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paid_on", sa.Date(), nullable=True),
        sa.Column("paid_note", sa.String(length=200), nullable=False),
        sa.Column("remind_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reminded", sa.Integer(), nullable=False),
        sa.CheckConstraint("serial > 0 AND amount >= 0 AND copies >= 0", name=op.f("ck_paper_counted")),
        sa.ForeignKeyConstraint(["about_id"], ["paper.id"], name=op.f("fk_paper_about_id")),
        sa.ForeignKeyConstraint(
            ["library_order_id"], ["library_order.id"], name=op.f("fk_paper_library_order_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_paper")),
        sa.UniqueConstraint("kind", "serial", name=op.f("uq_paper_kind_serial")),
        sa.UniqueConstraint("number", name=op.f("uq_paper_number")),
    )
    for column in ("about_id", "library_order_id", "remind_at"):
        op.create_index(op.f(f"ix_paper_{column}"), "paper", [column], unique=False)
    op.create_table(
        "paper_file",
        sa.Column("paper_id", sa.Integer(), nullable=False),
        sa.Column("pdf", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["paper_id"], ["paper.id"], name=op.f("fk_paper_file_paper_id")),
        sa.PrimaryKeyConstraint("paper_id", name=op.f("pk_paper_file")),
    )
    op.create_table(
        "vendor",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("legal_form", sa.String(length=200), nullable=False),
        sa.Column("company_number", sa.String(length=60), nullable=False),
        sa.Column("contact_name", sa.String(length=200), nullable=False),
        sa.Column("account_name", sa.String(length=200), nullable=False),
        sa.Column("bank_name", sa.String(length=200), nullable=False),
        sa.Column("iban", sa.String(length=40), nullable=False),
        sa.Column("bic", sa.String(length=20), nullable=False),
        sa.Column("sort_code", sa.String(length=20), nullable=False),
        sa.Column("account_number", sa.String(length=40), nullable=False),
        sa.Column("tax_note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vendor")),
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
    for table in ("vendor", "paper_file", "paper", "paper_series", "library_parcel"):
        op.drop_table(table)
    op.drop_index(op.f("ix_stock_movement_library_order_id"), "stock_movement")
    # SQLite drops no column that refers to a table or that a CHECK names, and keeps those.
    if op.get_bind().dialect.name != "sqlite":
        op.drop_column("stock_movement", "library_order_id")
        for column in ("posted", "stage", "allocated", "held"):
            op.drop_column("library_order", column)
    op.drop_column("library_order", "informed")
    for column in ("after_due_days", "before_due_days", "terms_days", "valid_days"):
        op.drop_column("library_rules", column)
