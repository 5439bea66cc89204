"""search terms, indexes of the desk's list, sales by day

Revision ID: 0008
Revises: 0007
Create Date: 2026-11-28 09:00:00.000000

"""

import re
import unicodedata

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BATCH = 1000
TERM = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
CURRENCIES = sa.Enum("GBP", "USD", "EUR", name="currency", native_enum=False, create_constraint=True, length=40)
WHAT = sa.Enum("country", "edition", "refund", name="what", native_enum=False, create_constraint=True, length=40)


def upgrade():
    op.create_table(
        "order_term",
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("term", TERM, nullable=False),
        sa.Column("source", sa.String(24), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["order.id"], name=op.f("fk_order_term_order_id")),
        sa.PrimaryKeyConstraint("order_id", "term", "source", name=op.f("pk_order_term")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "closed_day",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_closed_day")),
    )
    op.create_table(
        "day_total",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("currency", CURRENCIES, nullable=False),
        sa.Column("what", WHAT, nullable=False),
        sa.Column("key", sa.String(40), nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "currency", "what", "key", name=op.f("pk_day_total")),
    )
    op.create_index("ix_day_total_month", "day_total", ["month"])
    fill()
    op.create_index("ix_order_term_term", "order_term", ["term", "order_id"])
    listed = ["placed_at", "id"]
    op.create_index("ix_order_listed", "order", listed)
    op.create_index("ix_order_payment_state_listed", "order", ["payment_state", *listed])
    op.create_index("ix_order_fulfilment_state_listed", "order", ["fulfilment_state", *listed])
    op.create_index("ix_order_country_listed", "order", ["country", *listed])
    op.create_index(
        "ix_order_attention_listed",
        "order",
        listed,
        sqlite_where=sa.text("needs_attention = 1 OR disputed = 1"),
        postgresql_where=sa.text("needs_attention OR disputed"),
    )
    op.create_index(
        "ix_order_to_post",
        "order",
        ["paid_at", "id"],
        sqlite_where=sa.text("allocated = 1"),
        postgresql_where=sa.text("allocated"),
    )
    op.create_index("ix_order_paid_at", "order", ["paid_at"])
    op.create_index(
        "ix_buyer_noted",
        "buyer",
        ["order_id"],
        sqlite_where=sa.text("note <> ''"),
        postgresql_where=sa.text("note <> ''"),
    )
    op.create_index("ix_refund_finished_at", "refund", ["finished_at"])
    # Each of them is the beginning of a new one, or is no longer asked for.
    op.drop_index("ix_order_payment_state_fulfilment_state", "order")
    op.drop_index("ix_order_needs_attention", "order")
    op.drop_index("ix_order_placed_at", "order")


def downgrade():
    op.create_index("ix_order_placed_at", "order", ["placed_at"])
    op.create_index("ix_order_needs_attention", "order", ["needs_attention"])
    op.create_index("ix_order_payment_state_fulfilment_state", "order", ["payment_state", "fulfilment_state"])
    op.drop_index("ix_refund_finished_at", "refund")
    op.drop_index("ix_buyer_noted", "buyer")
    for name in ("paid_at", "to_post", "attention_listed", "country_listed", "fulfilment_state_listed"):
        op.drop_index(f"ix_order_{name}", "order")
    op.drop_index("ix_order_payment_state_listed", "order")
    op.drop_index("ix_order_listed", "order")
    op.drop_table("day_total")
    op.drop_table("closed_day")
    op.drop_table("order_term")


def fill():
    """Find the orders that are there already, by what they have now."""
    text = sa.text
    connection, last = op.get_bind(), 0
    orders = text(
        'SELECT o.id, o.number, b.name, b.email, b.city, b.purchase_order FROM "order" o '
        "JOIN buyer b ON b.order_id = o.id WHERE o.id > :last ORDER BY o.id LIMIT :batch"
    )
    parcels = text(
        "SELECT id, order_id, tracking FROM shipment WHERE order_id > :first AND order_id <= :last AND tracking <> ''"
    )
    keep = text("INSERT INTO order_term (order_id, term, source) VALUES (:order_id, :term, :source)")
    search = text("UPDATE buyer SET search = :search WHERE order_id = :order_id")
    while rows := connection.execute(orders, {"last": last, "batch": BATCH}).all():
        found, searches, first = [], [], last
        for order_id, number, name, email, city, purchase_order in rows:
            buyer = terms_of(name, email, city) | code_terms(purchase_order)
            searches.append({"order_id": order_id, "search": " ".join(sorted(buyer))})
            numbers = {squeeze(number), squeeze(number.partition("-")[2]) or squeeze(number)}
            found += [{"order_id": order_id, "term": term, "source": "order"} for term in numbers]
            found += [{"order_id": order_id, "term": term, "source": "buyer"} for term in buyer]
        last = rows[-1][0]
        for shipment_id, order_id, tracking in connection.execute(parcels, {"first": first, "last": last}):
            source = f"parcel:{shipment_id}"
            found += [{"order_id": order_id, "term": term, "source": source} for term in code_terms(tracking)]
        connection.execute(search, searches)
        connection.execute(keep, found)


# As in orders/folding.py when this was written: a migration does not change when the code does.
PARTS = re.compile(r"[^\W_]+")
ALIKE = str.maketrans({"’": "'", "ʼ": "'", "‐": "-", "‑": "-", "–": "-"})


def fold(text):
    text = unicodedata.normalize("NFC", text).replace("й", "\ue000").replace("Й", "\ue000")
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(plain.replace("\ue000", "й").casefold().split())


def words(text):
    plain = "".join(each if each.isprintable() else " " for each in text)
    found = []
    for word in fold(plain.translate(ALIKE)).split():
        if parts := list(PARTS.finditer(word)):
            found.append(word[parts[0].start() : parts[-1].end()][:64])
    return found


def squeeze(text):
    return "".join(PARTS.findall(fold(text)))[:64]


def terms_of(*texts):
    found = {word for text in texts for word in words(text or "")}
    return {word[part.start() :] for word in found for part in PARTS.finditer(word)}


def code_terms(code):
    return terms_of(code) | ({squeezed} if (squeezed := squeeze(code or "")) else set())
