"""parcels with their copies, and what can be taken back

Revision ID: 0009
Revises: 0008
Create Date: 2026-11-28 09:10:00.000000

"""

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

BEFORE = ("count", "hold", "release", "allocate", "free", "ship", "return")
MOVEMENTS = (*BEFORE, "replace", "unpost")


def moments(*names):
    return [sa.Column(name, sa.DateTime(timezone=True), nullable=True) for name in names]


def among(column, values):
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


def upgrade():
    with op.batch_alter_table("shipment", schema=None) as batch_op:
        batch_op.add_column(sa.Column("kind", sa.String(length=40), nullable=False, server_default="order"))
        batch_op.add_column(sa.Column("reason", sa.String(length=40), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("of_id", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("asked_by", sa.String(length=200), nullable=False, server_default=""))
        for column in moments("asked_at", "undo_until", "undone_at", "returned_at", "settled_at"):
            batch_op.add_column(column)
        batch_op.add_column(sa.Column("undone_by", sa.String(length=200), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("returned_by", sa.String(length=200), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("restocked", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("settled_as", sa.String(length=40), nullable=True))
        batch_op.alter_column("posted_at", existing_type=sa.DateTime(timezone=True), nullable=True)
        batch_op.create_foreign_key(batch_op.f("fk_shipment_of_id"), "shipment", ["of_id"], ["id"])
        batch_op.create_check_constraint(
            batch_op.f("ck_shipment_parcelkind"), among("kind", ("order", "replacement", "resent"))
        )
        batch_op.create_check_constraint(
            batch_op.f("ck_shipment_returnend"), among("settled_as", ("resent", "refunded", "nothing"))
        )
    with op.batch_alter_table("shipment", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_shipment_posted_at"), ["posted_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_shipment_undo_until"), ["undo_until"], unique=False)
        batch_op.create_index(
            "ix_shipment_waiting",
            ["order_id"],
            unique=False,
            sqlite_where=sa.text("posted_at IS NULL AND undone_at IS NULL"),
            postgresql_where=sa.text("posted_at IS NULL AND undone_at IS NULL"),
        )
        batch_op.create_index(
            "ix_shipment_came_back",
            ["returned_at"],
            unique=False,
            sqlite_where=sa.text("returned_at IS NOT NULL AND settled_at IS NULL"),
            postgresql_where=sa.text("returned_at IS NOT NULL AND settled_at IS NULL"),
        )
    op.create_table(
        "shipment_line",
        sa.Column("shipment_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_shipment_line_quantity")),
        sa.ForeignKeyConstraint(["shipment_id"], ["shipment.id"], name=op.f("fk_shipment_line_shipment_id")),
        sa.PrimaryKeyConstraint("shipment_id", "position", name=op.f("pk_shipment_line")),
    )
    with op.batch_alter_table("order_line", schema=None) as batch_op:
        batch_op.add_column(sa.Column("posted", sa.Integer(), nullable=False, server_default="0"))
        batch_op.create_check_constraint(
            batch_op.f("ck_order_line_posted"), "posted >= 0 AND called_off + posted <= quantity"
        )
    # Until now an order had one parcel, with all that was not called off.
    op.execute(
        "INSERT INTO shipment_line (shipment_id, position, quantity) "
        "SELECT shipment.id, order_line.position, order_line.quantity - order_line.called_off "
        "FROM shipment JOIN order_line ON order_line.order_id = shipment.order_id "
        "WHERE order_line.quantity > order_line.called_off"
    )
    op.execute(
        "UPDATE order_line SET posted = quantity - called_off WHERE order_id IN (SELECT order_id FROM shipment)"
    )
    with op.batch_alter_table("stock_movement", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("ck_stock_movement_movement"), type_="check")
        batch_op.create_check_constraint(batch_op.f("ck_stock_movement_movement"), among("kind", MOVEMENTS))
    with op.batch_alter_table("refund", schema=None) as batch_op:
        batch_op.add_column(sa.Column("undo_until", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("refund", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_refund_undo_until"), ["undo_until"], unique=False)
    with op.batch_alter_table("refund_line", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("pk_refund_line"), type_="primary")
        batch_op.create_primary_key(batch_op.f("pk_refund_line"), ["refund_id", "position", "posted"])


def downgrade():
    with op.batch_alter_table("refund_line", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("pk_refund_line"), type_="primary")
        batch_op.create_primary_key(batch_op.f("pk_refund_line"), ["refund_id", "position"])
    with op.batch_alter_table("refund", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_refund_undo_until"))
        batch_op.drop_column("undo_until")
    with op.batch_alter_table("stock_movement", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("ck_stock_movement_movement"), type_="check")
        batch_op.create_check_constraint(batch_op.f("ck_stock_movement_movement"), among("kind", BEFORE))
    with op.batch_alter_table("order_line", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("ck_order_line_posted"), type_="check")
        batch_op.drop_column("posted")
    op.drop_table("shipment_line")
    with op.batch_alter_table("shipment", schema=None) as batch_op:
        for name in ("ix_shipment_posted_at", "ix_shipment_undo_until"):
            batch_op.drop_index(batch_op.f(name))
        for name in ("ix_shipment_waiting", "ix_shipment_came_back"):
            batch_op.drop_index(name)
    with op.batch_alter_table("shipment", schema=None) as batch_op:
        for name in ("ck_shipment_parcelkind", "ck_shipment_returnend"):
            batch_op.drop_constraint(batch_op.f(name), type_="check")
        batch_op.drop_constraint(batch_op.f("fk_shipment_of_id"), type_="foreignkey")
        batch_op.alter_column("posted_at", existing_type=sa.DateTime(timezone=True), nullable=False)
        for name in (
            *("kind", "reason", "of_id", "asked_by", "asked_at", "undo_until", "undone_at", "undone_by"),
            *("returned_at", "returned_by", "restocked", "settled_at", "settled_as"),
        ):
            batch_op.drop_column(name)
