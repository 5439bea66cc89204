"""What a web server loads: ``granian --interface wsgi wsgi:app``; and ``flask``, for its commands."""

from click import ClickException

from shop.app import create_app
from shop.errors import SettingsError

try:
    app = create_app()
except SettingsError as problem:
    # Whoever installs the shop is shown this sentence by ``flask``, and no traceback above it.
    raise ClickException(f"Bookstall cannot start: {problem}") from None
