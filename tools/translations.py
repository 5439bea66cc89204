"""Translations: extract the texts, compile what was translated, and prove a translation complete.

``python -m tools.translations extract | compile | check``. The pybabel command alone proves little: it counts
an empty plural as translated and says nothing of empty texts.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from shop.content import typography

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "translations"
TEMPLATE = FOLDER / "messages.pot"
KEYWORDS = ("lazy_gettext", "_l", "_n:1,2")
PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]|\{(\w*)\}")
SETTING = (Path(__file__), Path(typography.__file__))
"""What a compiled catalogue is made with, besides its source."""
DATED = re.compile(r'^"(POT-Creation-Date|PO-Revision-Date): .*\n', re.MULTILINE)


def extract(template: Path = TEMPLATE) -> None:
    """Write every text of code and templates to a template; what changes with the day alone is left out."""
    command = [sys.executable, "-m", "babel.messages.frontend", "--quiet", "extract", "-F", "babel.cfg"]
    command += [word for keyword in KEYWORDS for word in ("-k", keyword)]
    command += ["--no-wrap", "--sort-by-file", "--add-location=file", "--project=Bookstall", "--version=0.1"]
    command += ["--copyright-holder=the authors of Bookstall", "--msgid-bugs-address=", "-o", str(template)]
    subprocess.run([*command, "shop", "templates"], check=True, cwd=ROOT)


def compile_stale(folder: Path = FOLDER) -> list[Path]:
    """Compile each catalogue that is newer than its compiled form; several processes may do so at once."""
    written = []
    for source in sorted(folder.glob("*/LC_MESSAGES/*.po")):
        compiled = source.with_suffix(".mo")
        newest = max(each.stat().st_mtime_ns for each in (source, *SETTING))
        if compiled.exists() and compiled.stat().st_mtime_ns > newest:
            continue
        draft = compiled.with_suffix(f".mo.{os.getpid()}")
        with draft.open("wb") as output:
            write_mo(output, _set(_read(source)))
        draft.replace(compiled)
        written.append(compiled)
    return written


def _set(catalogue: Catalog) -> Catalog:
    """A catalogue whose lines end where a typesetter would let them, so that no translator need think of it."""
    language = catalogue.locale.language if catalogue.locale else ""
    for message in catalogue:
        if message.id:
            forms = tuple(typography.keep_together(each, language) for each in _forms(message.string))
            message.string = forms if isinstance(message.id, tuple | list) else forms[0]
    return catalogue


def problems(folder: Path = FOLDER) -> Iterator[str]:
    """Whatever keeps a translation from being complete, one sentence each."""
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch, "messages.pot")
        extract(fresh)
        wanted = _messages(_read(fresh))
        committed = folder / TEMPLATE.name
        if _messages(_read(committed)).keys() != wanted.keys():
            yield f"{_name(committed)} is stale: run `make translations`"
    sources = sorted(folder.glob("*/LC_MESSAGES/*.po"))
    if not sources:
        yield f"{_name(folder)} holds no translation"
    for source in sources:
        yield from _problems(source, wanted)


def _problems(source: Path, wanted: dict[tuple[str | None, str], Message]) -> Iterator[str]:
    catalogue = _read(source)
    known = _messages(catalogue)
    for key in wanted.keys() - known.keys():
        yield f"{_name(source)}: missing: {key[1]!r}"
    for key, message in known.items():
        place = f"{_name(source)}:{message.lineno}"
        ids, texts = _forms(message.id), _forms(message.string)
        if key not in wanted:
            yield f"{place}: not in the source any more: {key[1]!r}"
        if message.fuzzy:
            yield f"{place}: fuzzy: {key[1]!r}"
        if not all(texts):
            yield f"{place}: untranslated: {key[1]!r}"
        elif any(_placeholders(text) != _placeholders(ids[-1]) for text in texts):
            yield f"{place}: placeholders differ: {key[1]!r}"
        if len(ids) > 1 and len(texts) != catalogue.num_plurals:
            yield f"{place}: {len(texts)} plural forms where {catalogue.num_plurals} are needed: {key[1]!r}"
        if len(_forms(wanted[key].id if key in wanted else message.id)) != len(ids):
            yield f"{place}: the source has a plural and the translation none, or the other way round: {key[1]!r}"
        for error in message.check(catalogue):
            yield f"{place}: {error}"


def _read(source: Path) -> Catalog:
    with source.open("rb") as lines:
        return read_po(lines, locale=source.parent.parent.name if source.suffix == ".po" else None)


def _messages(catalogue: Catalog) -> dict[tuple[str | None, str], Message]:
    return {(message.context, _forms(message.id)[0]): message for message in catalogue if message.id}


def _forms(text: object) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(map(str, text)) if isinstance(text, tuple | list) else ()


def _placeholders(text: str) -> set[tuple[str, ...]]:
    return set(PLACEHOLDER.findall(text))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def main(arguments: list[str]) -> int:
    match arguments:
        case ["extract"]:
            extract()
        case ["compile"]:
            compile_stale()
        case ["check"]:
            found = list(problems())
            sys.stderr.writelines(f"{line}\n" for line in found)
            return 1 if found else 0
        case _:
            sys.stderr.write(f"{__doc__}\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
