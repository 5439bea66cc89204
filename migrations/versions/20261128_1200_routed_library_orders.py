"""routing of library orders: suppliers by country, the distributor's links, files, reminders, repeated orders

Revision ID: 0014_routed
Revises: 0013_withdrawals
Create Date: 2026-11-28 10:10:00.000000

"""

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = "0014_routed"
down_revision = "0013_withdrawals"
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
]
NEW_LETTERS = ["library_reminder", "library_attention"]


def among(column, names):
    return "{} IN ({})".format(column, ", ".join(f"'{name}'" for name in names))


def upgrade():
    op.create_table(
        "country_distributor",
        sa.Column("edition_id", sa.Integer(), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("phone", sa.String(length=60), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name=op.f("fk_country_distributor_edition_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("edition_id", "country", name=op.f("pk_country_distributor")),
    )
    op.create_table(
        "library_rules",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("remind_days", sa.Integer(), nullable=False),
        sa.Column("tell_days", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_library_rules")),
    )
    # Written out, because SQLite would make the table anew, and other tables refer to it. It also keeps some columns
    # when the migration is taken back.
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("library_order")}
    for column in (
        "seen_at {moment}",
        "supplier_name VARCHAR(200) DEFAULT '' NOT NULL",
        "supplier_language VARCHAR(8) DEFAULT '' NOT NULL",
        "joins_by VARCHAR(64)",
        "joined_to_id INTEGER CONSTRAINT fk_library_order_joined_to_id REFERENCES library_order (id)",
        "resembles_id INTEGER CONSTRAINT fk_library_order_resembles_id REFERENCES library_order (id)",
        "chase_at {moment}",
        "chased INTEGER DEFAULT 0 NOT NULL",
    ):
        moment = "DATETIME" if op.get_bind().dialect.name == "sqlite" else "TIMESTAMP WITH TIME ZONE"
        if column.partition(" ")[0] not in there:
            op.execute(f"ALTER TABLE library_order ADD COLUMN {column.format(moment=moment)}")
    op.create_index(op.f("ix_library_order_chase_at"), "library_order", ["chase_at"], unique=False)
    op.create_index(op.f("ix_library_order_joins_by"), "library_order", ["joins_by"], unique=True)
    op.create_table(
        "library_file",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("library_order_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("media_type", sa.String(length=60), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("kept_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["library_order_id"], ["library_order.id"], name=op.f("fk_library_file_library_order_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_library_file")),
        sa.UniqueConstraint("key", name=op.f("uq_library_file_key")),
    )
    with op.batch_alter_table("library_file", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_library_file_library_order_id"), ["library_order_id"], unique=False)
    op.create_table(
        "distributor_link",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("library_order_id", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["library_order_id"], ["library_order.id"], name=op.f("fk_distributor_link_library_order_id")
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_distributor_link")),
    )
    with op.batch_alter_table("distributor_link", schema=None) as batch_op:
        name = batch_op.f("ix_distributor_link_library_order_id")
        batch_op.create_index(name, ["library_order_id"], unique=False)
    with op.batch_alter_table("letter", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("ck_letter_kind"), type_="check")
        batch_op.create_check_constraint(batch_op.f("ck_letter_kind"), among("kind", [*LETTERS, *NEW_LETTERS]))


def downgrade():
    letter = sa.table("letter", sa.column("kind", sa.String))
    op.execute(letter.delete().where(letter.c.kind.in_(NEW_LETTERS)))
    with op.batch_alter_table("letter", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("ck_letter_kind"), type_="check")
        batch_op.create_check_constraint(batch_op.f("ck_letter_kind"), among("kind", LETTERS))
    op.drop_table("distributor_link")
    op.drop_table("library_file")
    op.drop_index(op.f("ix_library_order_joins_by"), "library_order")
    op.drop_index(op.f("ix_library_order_chase_at"), "library_order")
    # SQLite drops no column that refers to a table, and keeps these two.
    kept = ("resembles_id", "joined_to_id") if op.get_bind().dialect.name == "sqlite" else ()
    for column in (
        *("chased", "chase_at", "resembles_id", "joined_to_id", "joins_by"),
        *("supplier_language", "supplier_name", "seen_at"),
    ):
        if column not in kept:
            op.drop_column("library_order", column)
    op.drop_table("library_rules")
    op.drop_table("country_distributor")
