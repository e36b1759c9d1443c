"""A tenant's audit log by command: verify, sign, export its heads, hold it."""

import base64
import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.errors import DomainError
from apps.governance import audit_keys, services
from apps.governance.audit_heads import Head, head_file
from apps.governance.types import Actor
from apps.tenancy.selectors import all_tenants, tenant_by_slug
from apps.tenancy.services import in_tenant
from apps.tenancy.types import TenantRef

_ACTOR = Actor.system("Command line")


class Command(BaseCommand):
    help = (
        "Audit logs: verify SLUG|--all, sign SLUG|--all, heads SLUG, hold SLUG --reason WHY, lift SLUG --reason WHY, "
        "new-key NAME, public-keys"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        verify = actions.add_parser("verify", help="find what was edited, removed, moved, put in or forged")
        verify.add_argument(
            "--heads", help="a file of heads kept elsewhere, as `audit heads` and webhooks tell them"
        )
        sign = actions.add_parser("sign", help="sign how far the log goes now")
        for several in (verify, sign):
            several.add_argument("slug", nargs="?")
            several.add_argument("--all", action="store_true", help="every tenant")
            several.add_argument("--json", action="store_true")
        actions.add_parser("heads", help="print the signed heads, a line of JSON each").add_argument("slug")
        for name, words in (("hold", "remove nothing from now on"), ("lift", "end an operator's hold")):
            held = actions.add_parser(name, help=words)
            held.add_argument("slug")
            held.add_argument("--reason", required=True)
        new = actions.add_parser("new-key", help="make a key for AUDIT_SIGNING_KEYS")
        new.add_argument("name")
        actions.add_parser("public-keys", help="print what AUDIT_PUBLIC_KEYS of a verifier elsewhere needs")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['action'].replace('-', '_')}")(options)
        except DomainError as error:
            raise CommandError(str(error)) from error

    def _verify(self, options: dict[str, Any]) -> None:
        broken = 0
        for tenant in self._tenants(options):
            try:
                self._verify_one(tenant, options)
            except DomainError as error:
                if not options["all"]:
                    raise
                broken += 1
                self.stderr.write(f"{tenant.slug}: {error}")
        if broken:
            raise CommandError(f"{broken} of the logs do not hold.")

    def _verify_one(self, tenant: TenantRef, options: dict[str, Any]) -> None:
        kept = [head_file(tenant.id)] if head_file(tenant.id).exists() else []
        told = [head for path in kept for head in _heads_in(path)]
        if options["heads"]:
            given = _heads_in(Path(options["heads"]))
            # One file may hold the heads of all tenants; asked about one, another's is a mistake that is told.
            told += [head for head in given if not options["all"] or head.tenant_id == tenant.id]
        with in_tenant(tenant):
            verdict = services.verify_log(told=told)
        if options["json"]:
            self.stdout.write(json.dumps({"tenant": tenant.slug, "intact": True, **asdict(verdict)}))
            return
        removed = f" from {verdict.first} on, older ones were removed" if verdict.first > 1 else ""
        signed = f"signed up to {verdict.signed_through}" if verdict.heads else "not signed yet"
        self.stdout.write(
            f"The audit log of {tenant.slug} is intact: {verdict.entries} entries{removed}, {signed}."
        )

    def _sign(self, options: dict[str, Any]) -> None:
        for tenant in self._tenants(options):
            with in_tenant(tenant):
                head = services.sign_head(now=timezone.now())
            if options["json"]:
                self.stdout.write(json.dumps(head.to_json()))
            else:
                self.stdout.write(
                    f"Head {head.number} of {tenant.slug} is signed, up to entry {head.sequence}."
                )

    def _heads(self, options: dict[str, Any]) -> None:
        with in_tenant(tenant_by_slug(options["slug"])):
            for head in services.heads_of_tenant():
                self.stdout.write(json.dumps(head.to_json()))

    def _hold(self, options: dict[str, Any]) -> None:
        with in_tenant(tenant_by_slug(options["slug"])):
            services.set_audit_hold(reason=options["reason"], actor=_ACTOR)
        self.stdout.write(
            f"Nothing is removed from the audit log of {options['slug']} until the hold is lifted."
        )

    def _lift(self, options: dict[str, Any]) -> None:
        with in_tenant(tenant_by_slug(options["slug"])):
            services.lift_audit_hold(reason=options["reason"], actor=_ACTOR)
        self.stdout.write(f"The operators' hold on the audit log of {options['slug']} is lifted.")

    def _new_key(self, options: dict[str, Any]) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,20}", options["name"]):
            raise CommandError("A key's name has 1 to 20 letters, digits, dots, hyphens and underscores.")
        self.stdout.write(f"{options['name']}:{base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}")

    def _public_keys(self, options: dict[str, Any]) -> None:
        self.stdout.write(",".join(audit_keys.shown_public_keys()))

    def _tenants(self, options: dict[str, Any]) -> Iterator[TenantRef]:
        if options["all"] == bool(options["slug"]):
            raise CommandError("Name one tenant, or say --all.")
        yield from all_tenants() if options["all"] else [tenant_by_slug(options["slug"])]


def _heads_in(path: Path) -> list[Head]:
    """The heads in a file: lines of heads, or of webhook messages and log lines that hold one."""
    found = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as wrong:
        raise CommandError(f"{path} cannot be read: {wrong}") from wrong
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            told = json.loads(line[line.index("{") :])
            found.append(Head.of_json(told["data"] if told.get("type") == "audit.head" else told))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise CommandError(f"Line {number} of {path} is not a head.") from None
    return found
