"""What editions are called in the language of the desk, whatever the order's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from babel import Locale
from flask import g
from sqlalchemy import select

from shop.admin.desk import language, locale
from shop.catalogue.models import Edition, EditionText
from shop.extensions import db
from shop.markets import write_number
from shop.orders.lifecycle import partly_posted


def edition_name(slug: str) -> str:
    """The edition's name for whoever is reading; its slug when nobody has named it."""
    if "edition_names" not in g:
        g.edition_names = _names()
    return cast(dict[str, str], g.edition_names).get(slug, slug)


def copies_of(lines: Sequence[Any], *, to_post: bool) -> list[str]:
    """Each edition of an order with the copies that the buyer gets, or of which some are still to be posted."""
    partly, reader = to_post and partly_posted(lines), locale()
    return [
        f"{write_number(line.to_post if partly else line.remaining, reader)} × {edition_name(line.slug)}"
        for line in lines
        if line.remaining
    ]


def language_name(code: str) -> str:
    """What a language is called in the language of the desk (Unicode CLDR)."""
    name: str = Locale.parse(locale()).languages.get(code, code)
    return name


def edition_names_in() -> Callable[[str, str], str]:
    """What editions are called in any language, for papers that speak several."""
    wanted = select(Edition.slug, EditionText.language, EditionText.name).join(
        EditionText, EditionText.edition_id == Edition.id
    )
    names = {(slug, code): name for slug, code, name in db.session.execute(wanted)}
    return lambda slug, code: names.get((slug, code), slug)


def _names() -> dict[str, str]:
    wanted = (
        select(Edition.slug, EditionText.name)
        .join(EditionText, EditionText.edition_id == Edition.id)
        .where(EditionText.language == language())
    )
    return dict(iter(db.session.execute(wanted)))
