"""`python -m app.auth.accounts`: what operators do with accounts.

Owns the only ways to an administrator and to a disabled account: no route leads there. The password is asked for, or
read from standard input, and is never an argument, which other processes could see. Deliberately prints no address.

Exit status: 0 done; 1 refused, or the database cannot be reached; 2 the command or the environment is wrong.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from getpass import getpass
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from app.auth.passwords import open_passwords
from app.auth.registration import register
from app.auth.repository import AccountRepository, RefreshTokenRepository
from app.auth.schemas import PASSWORD_MAX_LENGTH, PASSWORD_MIN_LENGTH, Registration, ResetRequest
from app.auth.tokens import Role
from app.database import open_database
from app.database_errors import DatabaseUnavailableError
from app.settings import Settings, SettingsError

PROGRAM = "python -m app.auth.accounts"
DONE, REFUSED, USAGE = 0, 1, 2
_WANTED = {
    "email": "want an address such as name@example.com",
    "password": f"want {PASSWORD_MIN_LENGTH} to {PASSWORD_MAX_LENGTH} characters",
}


class CommandError(Exception):
    """The command cannot be done; the message says why, without an address or a password."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; see the module for the exit status."""
    options = parser().parse_args(arguments)
    try:
        settings = Settings.from_environment()
        if options.command == "disable":
            print(asyncio.run(disable(settings, options.email)))
        else:
            request = _registration(options.email, _password())
            print(asyncio.run(create_admin(settings, request, options.tenant)))
    except (SettingsError, ValidationError) as exc:
        print(f"{PROGRAM}: {_problems(exc)}", file=sys.stderr)
        return USAGE
    except CommandError as exc:
        print(f"{PROGRAM}: {exc}", file=sys.stderr)
        return REFUSED
    except DatabaseUnavailableError as exc:
        print(f"{PROGRAM}: the database is away: {exc}", file=sys.stderr)
        return REFUSED
    except (OSError, SQLAlchemyError) as exc:
        print(f"{PROGRAM}: the database does not do it: {type(exc).__name__}", file=sys.stderr)
        return REFUSED
    return DONE


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog=PROGRAM, description="Accounts, for operators.", allow_abbrev=False)
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    create = commands.add_parser(
        "create-admin",
        help="open an account that administers its tenant",
        description="Open an account that administers its tenant. The password is asked for, or is the first line "
        "of standard input.",
    )
    create.add_argument("email", metavar="EMAIL", help="address of the account")
    create.add_argument("--tenant", type=UUID, metavar="UUID", help="tenant of the account (a new one)")
    stop = commands.add_parser(
        "disable",
        help="let nobody sign in to an account any more",
        description="Let nobody sign in to an account any more, and end its sign-ins. Access tokens that were given "
        "out hold until they expire.",
    )
    stop.add_argument("email", metavar="EMAIL", help="address of the account")
    return made


async def create_admin(settings: Settings, request: Registration, tenant_id: UUID | None) -> str:
    """Open the account and return what to tell the operator.

    Raises:
        CommandError: The address has an account.
    """
    async with open_database(settings.database) as database, open_passwords() as passwords:
        async with database.sessions() as session:
            user_id = await register(session, passwords, request, role=Role.ADMIN, tenant_id=tenant_id)
    if user_id is None:
        raise CommandError("this address has an account already; nothing was changed")
    return f"created administrator {user_id}"


async def disable(settings: Settings, email: str) -> str:
    """Disable the account and return what to tell the operator.

    Raises:
        CommandError: There is no such account, or it is disabled already.
    """
    address = ResetRequest(email=email).email
    async with open_database(settings.database) as database, database.sessions() as session, session.begin():
        user_id = await AccountRepository(session).disable(address)
        if user_id is None:
            raise CommandError("no account of this address can be used; nothing was changed")
        await RefreshTokenRepository(session).revoke_all(user_id)
    return f"disabled account {user_id}"


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass("Password: ")
    if getpass("Again: ") != password:
        raise CommandError("the two passwords differ; nothing was changed")
    return password


def _registration(email: str, password: str) -> Registration:
    return Registration.model_validate({"email": email, "password": password}, strict=False)


def _problems(exc: SettingsError | ValidationError) -> str:
    if isinstance(exc, SettingsError):
        return str(exc)
    return "; ".join(f"{error['loc'][0]}: {_WANTED[str(error['loc'][0])]}" for error in exc.errors())


if __name__ == "__main__":
    sys.exit(main())
