"""``flask shop backup`` and ``flask shop restore``: everything in one file, and back."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from flask.cli import with_appcontext

from shop import audit
from shop.backups import archive, making, restoring
from shop.errors import ShopError
from shop.extensions import db, now, settings
from shop.markets import write_size

LOCALE = "en_GB"
SHOWN = 20
"""So many differences are named after a restoration; ``audit`` names all."""


@click.command("backup")
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder to write to; backups/ in the instance folder by default.",
)
@click.option("--keep", type=click.IntRange(1), help="Keep so many of the newest, and delete the others there.")
@with_appcontext
def backup(folder: Path | None, keep: int | None) -> None:
    """Write database and kept files to one file, while the shop goes on selling."""
    instance = settings().instance_path
    folder = (folder or instance / making.FOLDER).resolve()
    try:
        made = making.make(db.engine, instance, folder, now())
        gone = making.prune(folder, keep) if keep else []
    except (ShopError, OSError) as error:
        raise click.ClickException(f"No backup was made. {error}") from error
    click.echo(f"{made} ({write_size(made.stat().st_size, LOCALE)})")
    for each in gone:
        click.echo(f"deleted: {each.name}")


@click.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Put aside the shop that is in the database already.")
@click.option("--check", is_flag=True, help="Only read FILE and say whether it is whole.")
@with_appcontext
def restore(file: Path, replace: bool, check: bool) -> None:
    """Make database and kept files what FILE says, and audit them. Stop the shop and its worker first."""
    if check:
        _check(file)
        return
    try:
        done = restoring.restore(db.engine, settings().instance_path, file, now(), _upgrade, replace=replace)
    except (ShopError, OSError) as error:
        raise click.ClickException(f"Nothing was restored. {error}") from error
    click.echo(f"The shop is as it was on {done.manifest.made_at:%Y-%m-%d at %H:%M:%S} UTC.")
    click.echo(f"{len(done.manifest.files) - 1} files, {done.files} of which were missing.")
    if done.aside:
        click.echo(f"What was there before is kept: {done.aside}")
    found = list(audit.run(db.session()))
    for each in found[:SHOWN]:
        click.echo(str(each))
    click.echo(f"audit: {len(found)} differences")
    click.echo(
        "Next: flask shop reconcile, which learns from Stripe what has happened since; then start the shop."
    )
    sys.exit(1 if found else 0)


def _check(file: Path) -> None:
    try:
        manifest = archive.verify(file)
    except (ShopError, OSError) as error:
        raise click.ClickException(f"{file}: {error}") from error
    click.echo(
        f"whole: {manifest.dialect} at migration {manifest.revision} and {len(manifest.files) - 1} files, "
        f"made on {manifest.made_at:%Y-%m-%d at %H:%M:%S} UTC"
    )


def _upgrade() -> None:
    """Bring the restored database to this code; Alembic is imported when it is needed."""
    from flask_migrate import upgrade

    upgrade()
