"""files that the owner uploads, and what shows them

Revision ID: 0012_uploads
Revises: 0011_proofs
Create Date: 2026-11-28 11:40:00.000000

"""

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = "0012_uploads"
down_revision = "0011_proofs"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "upload",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                *("picture", "document"),
                name="uploadkind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload")),
        sa.UniqueConstraint("digest", "kind", name=op.f("uq_upload_digest_kind")),
    )
    op.create_table(
        "stored_file",
        sa.Column("upload_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name=op.f("fk_stored_file_upload_id")),
        sa.PrimaryKeyConstraint("upload_id", "digest", name=op.f("pk_stored_file")),
    )
    with op.batch_alter_table("stored_file", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_stored_file_digest"), ["digest"], unique=False)
    op.create_table(
        "entry_file",
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("upload_id", sa.Integer(), nullable=False),
        sa.Column("alts", sa.JSON(), nullable=False),
        sa.Column("credits", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["entry.id"], name=op.f("fk_entry_file_entry_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name=op.f("fk_entry_file_upload_id")),
        sa.PrimaryKeyConstraint("entry_id", "language", name=op.f("pk_entry_file")),
    )
    with op.batch_alter_table("entry_file", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_entry_file_upload_id"), ["upload_id"], unique=False)
    op.create_table(
        "edition_cover",
        sa.Column("edition_id", sa.Integer(), nullable=False),
        sa.Column("upload_id", sa.Integer(), nullable=False),
        sa.Column("alts", sa.JSON(), nullable=False),
        sa.Column("credits", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name=op.f("fk_edition_cover_edition_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name=op.f("fk_edition_cover_upload_id")),
        sa.PrimaryKeyConstraint("edition_id", name=op.f("pk_edition_cover")),
    )
    with op.batch_alter_table("edition_cover", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_edition_cover_upload_id"), ["upload_id"], unique=False)


def downgrade():
    op.drop_table("edition_cover")
    op.drop_table("entry_file")
    op.drop_table("stored_file")
    op.drop_table("upload")
