"""A child key can do no more than its parent, whoever writes the row. A CHECK sees one row; this needs two."""

from django.db import migrations

# The parent is looked up in the table that the trigger stands on, by name, so that the function means the same
# in every schema and whatever the search path.
FUNCTION = """
CREATE OR REPLACE FUNCTION keys_child_within_parent() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    parent record;
BEGIN
    IF NEW.parent_id IS NULL THEN
        RETURN NEW;
    END IF;
    EXECUTE format(
        'SELECT scopes, environment, member_id, service_account_id, parent_id FROM %I.%I WHERE id = $1',
        TG_TABLE_SCHEMA, TG_TABLE_NAME
    ) INTO parent USING NEW.parent_id;
    IF parent.parent_id IS NOT NULL
        OR NOT NEW.scopes <@ parent.scopes
        OR 'keys:write' = ANY (NEW.scopes)
        OR NEW.environment <> parent.environment
        OR NEW.member_id IS DISTINCT FROM parent.member_id
        OR NEW.service_account_id IS DISTINCT FROM parent.service_account_id
    THEN
        RAISE EXCEPTION 'a child key can do no more than its parent'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'keys_apikey_within_parent';
    END IF;
    RETURN NEW;
END $$
"""
TRIGGER = """
CREATE TRIGGER keys_apikey_within_parent
    BEFORE INSERT OR UPDATE OF parent_id, scopes, environment, member_id, service_account_id ON keys_apikey
    FOR EACH ROW EXECUTE FUNCTION keys_child_within_parent()
"""


class Migration(migrations.Migration):
    dependencies = [("keys", "0001_initial")]

    operations = [
        migrations.RunSQL(FUNCTION, "DROP FUNCTION keys_child_within_parent()", hints={"schema": "tenant"}),
        migrations.RunSQL(
            TRIGGER, "DROP TRIGGER keys_apikey_within_parent ON keys_apikey", hints={"schema": "tenant"}
        ),
    ]
