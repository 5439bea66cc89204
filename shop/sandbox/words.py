"""The sandbox's own words in English and Russian, from the project's translations."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from babel import Locale
from babel.dates import format_datetime
from babel.numbers import format_currency
from babel.support import NullTranslations, Translations
from flask import g, request

LANGUAGES = ("en", "ru")
# Currencies without a smaller unit ("Zero-decimal currencies").
_WHOLE = "bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf"
WHOLE = frozenset(_WHOLE.split())

_loaded: dict[str, NullTranslations] = {}


def load(directory: Path) -> None:
    """Read the catalogues; a language that is not compiled yet shows English."""
    for language in LANGUAGES:
        _loaded[language] = Translations.load(directory, [language])


def choose(languages: Sequence[str] = LANGUAGES) -> str:
    """The language of `?lang=`, else the one that the browser likes best."""
    wanted = request.args.get("lang") or request.form.get("lang")
    if wanted in LANGUAGES:
        return str(wanted)
    return request.accept_languages.best_match(languages, "en") or "en"


def speak(language: str, region: str | None = None) -> None:
    """Use a language for the rest of this request; English is British unless a region says otherwise."""
    g.language = language
    region = region or ("GB" if language == "en" else None)
    g.locale = Locale.parse(f"{language}_{region}" if region else language)


def language() -> str:
    """The language in use."""
    return str(getattr(g, "language", "en"))


def _translations() -> NullTranslations:
    return _loaded.get(language()) or NullTranslations()


def gettext(text: str, **values: Any) -> str:
    """A sentence in the language in use."""
    said = str(_translations().gettext(text))
    return said % values if values else said


def ngettext(one: str, many: str, num: int, **values: Any) -> str:
    """A sentence that counts."""
    said = str(_translations().ngettext(one, many, num))
    return said % ({"num": num} | values)


def money(amount: int, currency: str) -> str:
    """A sum as the reader writes it: £18.99, $24.99, 24,99 $."""
    value = Decimal(amount) if currency in WHOLE else Decimal(amount) / 100
    return str(format_currency(value, currency.upper(), locale=g.locale))


def country(code: str) -> str:
    """A country's name."""
    return str(g.locale.territories.get(code, code))


def moment(seconds: float) -> str:
    """A point of time in UTC."""
    written = str(format_datetime(datetime.fromtimestamp(seconds, UTC), "medium", locale=g.locale))
    return written.replace(" г.", "\u00a0г.")


def moment_of_day(seconds: float) -> str:
    """Hours, minutes and seconds in UTC."""
    return time.strftime("%H:%M:%S", time.gmtime(seconds))
