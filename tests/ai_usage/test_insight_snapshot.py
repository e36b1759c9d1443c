"""The figures of one page are of one moment, also on a connection that nobody has used yet."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.db.utils import InternalError

from apps.ai_usage.insight.snapshot import one_moment
from apps.tenancy.services import in_public, in_tenant


def elsewhere(work):
    """Run something on a thread of its own, which has a connection of its own and no transaction."""

    def run():
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run).result()


def asked(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


def test_a_fresh_connection_reads_one_moment_of_the_right_tenant(acme, globex):
    def read():
        with in_public():
            asked("SELECT 1")
        found = []
        for tenant in (acme, globex):
            with in_tenant(tenant), one_moment():
                found.append((asked("SHOW transaction_isolation"), asked("SELECT current_schema()")))
        return found

    assert elsewhere(read) == [("repeatable read", acme.schema), ("repeatable read", globex.schema)]


def test_nothing_can_be_written_in_it(acme):
    def write():
        with in_tenant(acme), one_moment():
            asked("INSERT INTO ai_usage_usagepending VALUES (uuidv7()) RETURNING event_id")

    with pytest.raises(InternalError, match="read-only transaction"):
        elsewhere(write)


def test_inside_a_transaction_it_changes_nothing(tenant):
    with one_moment():
        assert asked("SHOW transaction_isolation") == "read committed"
