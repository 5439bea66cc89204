"""What readers and buyers see: pages, the order form, the order page, libraries, errors.

``app`` calls ``init_app``; the admin uses what it puts on the app (filters, the guard against other sites' posts,
the headers, the error pages) and nothing else of this room.
"""

from flask import Blueprint, Flask

from shop.storefront import (
    addresses,
    assets,
    caching,
    distributor,
    errors,
    feeds,
    filters,
    invoices,
    libraries,
    library_papers,
    media,
    order_pages,
    ordering,
    pages,
    protection,
    recommending,
    records,
    service,
    withdrawing,
)


def init_app(app: Flask) -> None:
    """Register everything public, and what the whole app shares: language, filters, guard, headers, errors."""
    addresses.init_app(app)
    filters.init_app(app)
    protection.init_app(app)
    caching.init_app(app)
    assets.init_app(app)
    errors.init_app(app)
    service.init_app(app)
    media.init_app(app)
    records.init_app(app)
    feeds.init_app(app)
    distributor.init_app(app)
    blueprint = Blueprint("storefront", __name__, url_prefix="/<market:market>")
    blueprint.url_value_preprocessor(addresses.take_market)
    pages.register(blueprint)
    ordering.register(blueprint)
    order_pages.register(blueprint)
    libraries.register(blueprint)
    recommending.register(blueprint)
    withdrawing.register(blueprint)
    library_papers.register(blueprint)
    invoices.register(blueprint)
    app.register_blueprint(blueprint)
