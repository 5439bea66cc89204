"""``flask shop admin …``: people of the order desk."""

from __future__ import annotations

import sys

import click
from email_validator import EmailNotValidError, validate_email
from flask.cli import with_appcontext
from sqlalchemy.orm import Session

from shop import staff
from shop.admin import passwords
from shop.database import transact
from shop.extensions import db, now
from shop.markets import LANGUAGES

admin_group = click.Group("admin", help="People of the order desk.")


@admin_group.command("create")
@click.option("--email", required=True, help="The address to sign in with.")
@click.option("--password-stdin", is_flag=True, required=True, help="Read the password from standard input.")
@click.option("--name", default="", help="The name shown beside what this person does.")
@click.option("--language", type=click.Choice(list(LANGUAGES)), default=None, help="The language of the desk.")
@with_appcontext
def create(email: str, password_stdin: bool, name: str, language: str | None) -> None:
    """Let a person sign in. For one who may already, set the password and end every session."""
    try:
        email = validate_email(email.strip(), check_deliverability=False).normalized.lower()
    except EmailNotValidError as error:
        raise click.ClickException(f"{email} is not an e-mail address: {error}") from error
    password = sys.stdin.readline().rstrip("\r\n")
    if len(password) < passwords.SHORTEST:
        raise click.ClickException(f"The password is shorter than {passwords.SHORTEST} characters.")
    hashed, at = passwords.hash_password(password), now()

    def work(s: Session) -> bool:
        person = staff.by_email(s, email)
        is_new = person is None
        if person is None:
            person = staff.Admin(email=email, name=name or email.partition("@")[0], created_at=at)
            s.add(person)
        else:
            staff.close_all_sessions(s, person.id)
        person.password_hash, person.active = hashed, True
        person.name = name or person.name
        person.language = language or person.language or "en"
        return is_new

    made = transact(db.session(), work)
    click.echo(f"{email} can sign in." if made else f"{email} has a new password; all sessions were ended.")
