"""``flask shop …``: thin commands over the domain."""

from __future__ import annotations

import json
import sys
from typing import Any

import click
from flask import Flask, current_app
from flask.cli import AppGroup, ScriptInfo
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from shop import audit, duty, erasure, revisions
from shop.admin.commands import admin_group
from shop.catalogue import offers
from shop.cli_backups import backup, restore
from shop.cli_catalogue import catalogue_group, entries_group, pages_group, trader_group
from shop.database import transact
from shop.demo import making
from shop.errors import GatewayError, ShopError
from shop.extensions import db, gateway, now, settings
from shop.libraries import routing
from shop.orders import placing, terms
from shop.orders.models import Order
from shop.orders.timeline import SYSTEM
from shop.payments import inbox, reconciliation
from shop.worker import Worker


class Commands(AppGroup):
    """Commands that say in a sentence what is the matter with the database, where Python would show a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DatabaseError:
            with ctx.ensure_object(ScriptInfo).load_app().app_context():
                trouble = database_trouble()
            if trouble is None:
                raise
            raise click.ClickException(trouble) from None


def database_trouble() -> str | None:
    """Why no command can do its work: the database is away, or its tables are not those of this code."""
    try:
        with db.engine.connect() as connection:
            applied = revisions.applied(connection)
    except SQLAlchemyError as error:
        said = str(getattr(error, "orig", None) or error).strip()
        return f"The database does not answer: {said.splitlines()[0] if said else type(error).__name__}"
    if not applied:
        return "There is no shop in this database yet: flask db upgrade makes one."
    if applied != revisions.heads():
        return "The tables of the database are not those of this code: flask db upgrade makes them so."
    return None


shop = Commands("shop", help="Run the bookshop.")
for command in (catalogue_group, pages_group, entries_group, trader_group, admin_group, backup, restore):
    shop.add_command(command)

REPORTED = {
    "paid_there": "paid there and not here",
    "paid_here": "paid here and not there",
    "amounts": "amounts that differ",
    "holds": "holds without a live page",
    "holds_ended": "holds without a live page, ended",
    "orphans": "orphans",
    "missing_there": "missing there",
    "stuck": "does not fit what is recorded here",
    "applied": "applied",
}


@shop.command("worker")
@click.option("--once", is_flag=True, help="Do once everything there is to do, and stop.")
def worker(once: bool) -> None:
    """Deliver letters, work the inbox, expire holds, reconcile with Stripe."""
    one = Worker(current_app._get_current_object())  # type: ignore[attr-defined]
    if not once:
        one.run()  # waits for a database that is away
    elif trouble := database_trouble():
        raise click.ClickException(trouble)
    elif not one.round(everything=True):
        raise click.ClickException("Not everything could be done; the log says what.")


@shop.command("reconcile")
def reconcile() -> None:
    """Compare everything with Stripe and put right what differs.

    It looks back a month, and further if the worker last did it longer ago, as in a restored backup.
    """
    session, moment = db.session(), now()
    month = moment - reconciliation.EVENT_MEMORY
    since = min(duty.last_begun(session, reconciliation.DUTY) or month, month)
    session.rollback()
    try:
        report = reconciliation.run(session, gateway(), moment, since)
    except GatewayError as error:
        raise click.ClickException(f"Stripe did not answer as expected: {error}") from error
    click.echo(f"looked up {report.looked_up}, put right {len(report.applied)}")
    for name, words in REPORTED.items():
        for each in getattr(report, name):
            click.echo(f"{words}: {each}")


@shop.command("replay")
@click.argument("event_id")
def replay(event_id: str) -> None:
    """Fetch an event from Stripe and do again what it asks for."""
    try:
        inbox.replay(db.session(), gateway(), event_id, now())
    except ShopError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{event_id} was worked")


@shop.command("audit")
@click.option("--json", "as_json", is_flag=True, help="One JSON list instead of sentences.")
def run_audit(as_json: bool) -> None:
    """Recompute all that can be recomputed; name every difference and exit 1 if there is one."""
    found = list(audit.run(db.session()))
    if as_json:
        click.echo(json.dumps([each.as_dict() for each in found], ensure_ascii=False))
    else:
        for each in found:
            click.echo(str(each))
        click.echo(f"{len(found)} differences")
    sys.exit(1 if found else 0)


@shop.command("demo-data")
@click.option("--orders", type=click.IntRange(1, 5_000_000), default=1000, show_default=True)
@click.option("--seed", default="bookstall", show_default=True, help="The same seed draws the same orders.")
def demo_data(orders: int, seed: str) -> None:
    """Add made-up orders of the last three years, in every state, to a shop that only shows what it can do."""
    if settings().production:
        raise click.ClickException("Made-up orders have no place in production.")
    try:
        made = making.make(db.session(), orders, seed, now())
    except making.NothingToSell as error:
        raise click.ClickException(str(error)) from error
    making.tidy(db.session())
    click.echo(f"{made} orders")


@shop.command("search-terms")
def search_terms() -> None:
    """Write anew what every order is found by."""
    click.echo(f"{terms.rebuild_all(db.session())} orders")


@shop.command("erase")
@click.option("--order", "number", help="One order, whatever its age: RR-…")
@click.option("--library", "ticket", help="One library order, whatever its age: LB-…")
def erase(number: str | None, ticket: str | None) -> None:
    """Erase what is personal of everything older than it is to be kept, or of one order on request."""
    session, moment = db.session(), now()
    if number or ticket:
        known = placing.by_number(session, number) if number else routing.by_ticket(session, ticket or "")
        if known is None or (number and ticket):
            raise click.ClickException(f"Please name one order that is known, not {number or ticket}.")
        try:
            if isinstance(known, Order):
                done = transact(session, erasure.erase_order, known.id, SYSTEM, moment)
            else:
                done = transact(session, erasure.erase_library, known.id, moment)
        except erasure.NotErasable as error:
            raise click.ClickException(f"{number or ticket} cannot be erased yet. {error}") from error
        click.echo(f"{number or ticket} {'is erased' if done else 'was erased already'}")
        return
    kept = erasure.run(session, moment, years=settings().order_years, months=settings().library_months)
    click.echo(
        f"erased: {len(kept.orders)} orders, {len(kept.libraries)} library orders, "
        f"{kept.orphans} payments without an order, {kept.statements} withdrawals"
    )
    for name, why in kept.kept.items():
        click.echo(f"kept: {name}: {why}")


@shop.command("doctor")
def doctor() -> None:
    """Say what this installation still needs before it can sell."""
    session = db.session()
    missing = offers.missing_for_sale(session)
    if not offers.editions(session):
        missing.append("a catalogue: flask shop catalogue import shop/data/catalogue.toml")
    for row in offers.unconfirmed(session):
        click.echo(f"unconfirmed: {row.subject}: {row.fact}")
    for each in missing:
        click.echo(f"needed before orders are taken: {each}")
    if not settings().production:
        click.echo("development: everything counts as confirmed")
    sys.exit(1 if missing and settings().production else 0)


class Migrations(click.Command):
    """``flask db …`` is Flask-Migrate's, imported when it is first asked for: Alembic is a tenth of a web worker."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        from flask_migrate.cli import db as real

        made: click.Context = real.make_context(info_name, args, parent, **extra)
        return made


def init_app(app: Flask) -> None:
    app.cli.add_command(shop)
    app.cli.add_command(Migrations("db", help="Perform database migrations."))
