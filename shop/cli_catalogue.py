"""``flask shop catalogue …``, ``pages …`` and ``trader …``: files in and out, and who sells."""

from __future__ import annotations

from pathlib import Path

import click
from flask.cli import AppGroup, with_appcontext
from sqlalchemy.orm import Session

from shop.catalogue import interchange, version
from shop.content import first_entries
from shop.content import interchange as page_files
from shop.database import transact
from shop.errors import CatalogueError
from shop.extensions import db, now
from shop.trader import trader

catalogue_group = AppGroup("catalogue", help="Read and write catalogue files.")
pages_group = AppGroup("pages", help="Texts of the pages that are nothing but text.")
entries_group = AppGroup("entries", help="News, reviews, articles, downloads and photos.")
trader_group = AppGroup("trader", help="Who sells: name, address, e-mail.")


@catalogue_group.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--if-empty", is_flag=True, help="Do nothing when the shop has a catalogue already.")
@with_appcontext
def import_file(file: Path, if_empty: bool) -> None:
    """Make the database say what FILE says. The same file again changes nothing."""
    session = db.session()
    if if_empty and not interchange.is_empty(session):
        click.echo("The shop has a catalogue already.")
        return
    body = file.read_bytes()
    try:
        done = transact(session, lambda s: interchange.import_catalogue(s, body, now()))
    except CatalogueError as error:
        raise click.ClickException(f"{file}: {error}") from error
    click.echo("The catalogue has changed." if done.changed else "Nothing has changed.")
    for slug in done.untouched:
        click.echo(f"The file does not name the edition “{slug}”; it stays as it is.")


@catalogue_group.command("export")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@with_appcontext
def export_file(file: Path) -> None:
    """Write the whole catalogue to FILE (``-`` for standard output)."""
    text = interchange.export_catalogue(db.session())
    if str(file) == "-":
        click.echo(text, nl=False)
    else:
        file.write_text(text, encoding="utf-8", newline="\n")


@pages_group.command("import")
@click.option(
    "--folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=page_files.SHIPPED
)
@click.option("--replace", is_flag=True, help="Also the pages that the shop has already.")
@with_appcontext
def import_pages(folder: Path, replace: bool) -> None:
    """Take over page texts from files, so that they can be changed at the order desk."""
    try:
        written = transact(db.session(), lambda s: page_files.import_pages(s, folder, replace=replace))
    except CatalogueError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{written} pages were written.")


@entries_group.command("import")
@click.option(
    "--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=first_entries.SHIPPED
)
@with_appcontext
def import_entries(file: Path) -> None:
    """Fill each kind that has no entry yet: reviews, articles and news that the shop comes with."""
    try:
        written = transact(db.session(), lambda s: first_entries.import_entries(s, file, now()))
    except CatalogueError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{written} entries were written.")


@trader_group.command("set")
@click.option("--name", help="The seller’s name, as the law asks for it.")
@click.option("--address", help="The geographic address; \\n begins a new line.")
@click.option("--email", help="Where readers write for help.")
@click.option("--phone")
@click.option("--vat-number")
@click.option("--dispatch-days", type=click.IntRange(1, 60), help="Working days until a paid order is posted.")
@click.option("--if-empty", is_flag=True, help="Fill in only what is empty.")
@with_appcontext
def set_trader(if_empty: bool, **told: str | int | None) -> None:
    """Enter who sells."""

    def work(session: Session) -> bool:
        row, changed = trader(session), False
        for name, value in told.items():
            if isinstance(value, str):
                value = value.replace("\\n", "\n").strip()
            if value is None or (if_empty and getattr(row, name)) or getattr(row, name) == value:
                continue
            setattr(row, name, value)
            changed = True
        if changed:
            version.rise(session)
        return changed

    changed = transact(db.session(), work)
    click.echo("The seller’s details have changed." if changed else "Nothing has changed.")
