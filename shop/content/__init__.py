"""What the shop says beside the catalogue: pages of text in every language, kept in the database."""
