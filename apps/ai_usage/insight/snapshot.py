"""Several readings of one moment."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction


@contextmanager
def one_moment() -> Iterator[None]:
    """Let all statements of a block see the same moment, so that the figures of a page agree with each other.

    Inside somebody's transaction that is theirs to decide.
    """
    if connection.in_atomic_block:
        yield
        return
    with connection.cursor():
        pass  # whatever the connection has to be told about the tenant comes before the transaction
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            # Sums over many hours are made in memory; with PostgreSQL's usual 4 MB they would be sorted on disk.
            cursor.execute("SET LOCAL work_mem = '32MB'")
        yield
