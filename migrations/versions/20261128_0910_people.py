"""roles, second factor, sessions with device and address, invitations, the desk's journal

Revision ID: 0007
Revises: 0006
Create Date: 2026-11-28 09:10:00.000000

"""

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = "0007"
down_revision = "0006"
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
]
WITH_INVITATION = [*LETTERS, "invitation"]


def kinds(names):
    return "kind IN ({})".format(", ".join(f"'{name}'" for name in names))


def upgrade():
    # Whoever was there may do everything, and so may whom the code before this adds meanwhile. Written out, because
    # making SQLite's table anew for a constraint would sweep out every session that refers to it.
    op.execute(
        "ALTER TABLE admin ADD COLUMN role VARCHAR(40) DEFAULT 'owner' NOT NULL"
        " CONSTRAINT ck_admin_role CHECK (role IN ('owner', 'packer', 'reader'))"
    )
    op.add_column("admin", sa.Column("totp_secret", sa.String(length=64), server_default="", nullable=False))
    op.add_column("admin", sa.Column("totp_offered", sa.String(length=64), server_default="", nullable=False))
    op.add_column("admin", sa.Column("totp_step", sa.Integer(), server_default="0", nullable=False))
    op.add_column("admin", sa.Column("invite_hash", sa.String(length=64), server_default="", nullable=False))
    op.add_column("admin", sa.Column("invited_until", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("admin_session", schema=None) as batch_op:
        batch_op.add_column(sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("device", sa.String(length=300), server_default="", nullable=False))
        batch_op.add_column(sa.Column("address", sa.String(length=64), server_default="", nullable=False))
    with op.batch_alter_table("letter", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("ck_letter_kind"), type_="check")
        batch_op.create_check_constraint(batch_op.f("ck_letter_kind"), kinds(WITH_INVITATION))

    op.create_table(
        "desk_rules",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("second_factor_required", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_desk_rules")),
    )
    op.create_table(
        "recovery_code",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("admin_id", sa.Integer(), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["admin_id"], ["admin.id"], name=op.f("fk_recovery_code_admin_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_code")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_recovery_code_code_hash")),
    )
    with op.batch_alter_table("recovery_code", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_recovery_code_admin_id"), ["admin_id"], unique=False)
    op.create_table(
        "journal_entry",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("admin_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=False),
        sa.Column("about", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.Column("search", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["admin_id"], ["admin.id"], name=op.f("fk_journal_entry_admin_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal_entry")),
    )
    with op.batch_alter_table("journal_entry", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_journal_entry_at"), ["at"], unique=False)
        batch_op.create_index("ix_journal_entry_admin_id_id", ["admin_id", "id"], unique=False)
        batch_op.create_index("ix_journal_entry_kind_id", ["kind", "id"], unique=False)


def downgrade():
    op.drop_table("journal_entry")
    op.drop_table("recovery_code")
    op.drop_table("desk_rules")
    op.execute("DELETE FROM letter WHERE kind = 'invitation'")
    with op.batch_alter_table("letter", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("ck_letter_kind"), type_="check")
        batch_op.create_check_constraint(batch_op.f("ck_letter_kind"), kinds(LETTERS))
    with op.batch_alter_table("admin_session", schema=None) as batch_op:
        batch_op.drop_column("address")
        batch_op.drop_column("device")
        batch_op.drop_column("confirmed_at")
    # Nobody may be left with more than he had: whoever is no owner is put out of service.
    op.execute("UPDATE admin SET active = false WHERE role <> 'owner' OR password_hash = ''")
    with op.batch_alter_table("admin", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("ck_admin_role"), type_="check")
        batch_op.drop_column("invited_until")
        batch_op.drop_column("invite_hash")
        batch_op.drop_column("totp_step")
        batch_op.drop_column("totp_offered")
        batch_op.drop_column("totp_secret")
        batch_op.drop_column("role")
