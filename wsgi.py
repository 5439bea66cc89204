"""What a web server loads: ``granian --interface wsgi wsgi:app``."""

from shop.app import create_app

app = create_app()
