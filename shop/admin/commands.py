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
from shop.staff import Admin, Role, journal, people, second_factor

admin_group = click.Group("admin", help="People of the order desk.")


@admin_group.command("create")
@click.option("--email", required=True, help="The address to sign in with.")
@click.option("--password-stdin", is_flag=True, required=True, help="Read the password from standard input.")
@click.option("--name", default="", help="The name shown beside what this person does.")
@click.option("--language", type=click.Choice(list(LANGUAGES)), default=None, help="The language of the desk.")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=None,
    help="Owner, unless the person has a role.",
)
@with_appcontext
def create(email: str, password_stdin: bool, name: str, language: str | None, role: str | None) -> None:
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
            person = Admin(email=email, name=name or email.partition("@")[0], role=Role.OWNER, created_at=at)
            person.password_hash, person.active, person.notified = hashed, True, True
            s.add(person)
            s.flush()
        else:
            staff.close_all_sessions(s, person.id)
        person.password_hash, person.active = hashed, True
        person.invite_hash, person.invited_until = "", None
        person.name = name or person.name
        person.language = language or person.language or "en"
        if role:
            people.change(s, person.id, role=Role(role), active=True, notified=person.notified)
        journal.note(s, "command_create", None, at, about="person_id", subject=str(person.id))
        return is_new

    try:
        made = transact(db.session(), work)
    except people.LastOwner:
        raise click.ClickException(f"{email} is the last owner and has to stay one.") from None
    click.echo(f"{email} can sign in." if made else f"{email} has a new password; all sessions were ended.")


@admin_group.command("reset-second-factor")
@click.option("--email", required=True, help="The address the person signs in with.")
@with_appcontext
def reset_second_factor(email: str) -> None:
    """Let the password alone be enough for somebody who has lost telephone and recovery codes."""
    at = now()

    def work(s: Session) -> bool:
        person = staff.by_email(s, email)
        if person is None:
            return False
        second_factor.remove(s, person)
        staff.close_all_sessions(s, person.id)
        journal.note(s, "command_reset", None, at, about="person_id", subject=str(person.id))
        return True

    if not transact(db.session(), work):
        raise click.ClickException(f"Nobody signs in with {email}.")
    click.echo(f"{email} signs in with the password alone; all sessions were ended.")
