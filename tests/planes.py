"""Acting as the other plane inside one test process."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from apps.tenancy.services import in_public


@contextmanager
def control_plane() -> Iterator[None]:
    """Run a block under lockstep_control, beginning in public: provisioning, the catalogue, billing."""
    with in_public():
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_user")
            before = cursor.fetchone()[0]
            cursor.execute("SET ROLE lockstep_control")
        try:
            yield
        finally:
            if not connection.needs_rollback:
                with connection.cursor() as cursor:
                    cursor.execute(f"SET ROLE {before}")
