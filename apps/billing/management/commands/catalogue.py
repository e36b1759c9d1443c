"""Apply the operator's catalogue file, or write what is stored in its form."""

from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from apps.ai_usage import selectors as tables
from apps.billing import selectors, services
from apps.billing.catalogue.reading import read_catalogue
from apps.billing.catalogue.writing import write_catalogue
from apps.billing.management.saying import SayingCommand, add_action

Said = tuple[list[str], Any]


class Command(SayingCommand):
    help = "The catalogue: apply FILE, export."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        apply = add_action(actions, "apply", "make the tables say what the file says, or refuse all of it")
        apply.add_argument("file", type=Path)
        apply.add_argument(
            "--dry-run", action="store_true", help="show what would change, and change nothing"
        )
        add_action(actions, "export", "print the catalogue in the file's form")

    def apply(self, *, file: Path, dry_run: bool, **_: Any) -> Said:
        """apply FILE [--dry-run]"""
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as wrong:
            raise CommandError(
                f"{file} cannot be read: {getattr(wrong, 'strerror', None) or 'not UTF-8 text'}."
            ) from wrong
        now = timezone.now()
        catalogue = read_catalogue(text, resolve=partial(resolve, directory=file.parent), now=now)
        applied = services.apply_catalogue(catalogue, actor=self.actor(), now=now, dry_run=dry_run)
        said = [str(change) for change in applied.changes]
        said += [f"! {warning}" for warning in applied.warnings]
        count = len(applied.changes)
        if not count:
            said.append("Nothing to change: the catalogue says this already.")
        elif dry_run:
            said.append(f"{_changes(count)} would be made. Nothing was changed.")
        else:
            said.append(
                f"{_changes(count)} made; {applied.tenants_moved} subscriptions follow a new plan version."
            )
        return said, {
            "dry_run": dry_run,
            "changes": [change._asdict() for change in applied.changes],
            "warnings": applied.warnings,
            "tenants_moved": applied.tenants_moved,
        }

    def export(self, **_: Any) -> Said:
        """export"""
        text = write_catalogue(tables.read_entries(), selectors.newest_plans())
        return [text.rstrip("\n")], {"catalogue": text}


def resolve(reference: str, *, directory: Path) -> str | None:
    """What `env:NAME` or `file:PATH` stands for. A relative path starts from the catalogue's own
    directory."""
    kind, _, name = reference.partition(":")
    if kind == "env":
        value: str | None = settings.CATALOGUE_ENVIRONMENT(name)
        return value
    try:
        return (directory / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _changes(count: int) -> str:
    return "1 change" if count == 1 else f"{count} changes"
