"""What was reviewed is what is used: a version's words change only while it is a draft, and states go one way."""

from django.db import migrations

FUNCTION = """
CREATE OR REPLACE FUNCTION governance_promptversion_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.prompt_id <> OLD.prompt_id OR NEW.number <> OLD.number OR NEW.author_id <> OLD.author_id
        OR (OLD.state <> 'draft' AND NEW.content IS DISTINCT FROM OLD.content)
        OR (OLD.state IN ('approved', 'retired') AND NEW.reviewer_id <> OLD.reviewer_id)
    THEN
        RAISE EXCEPTION 'a version of a prompt that is not a draft stays as it is'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'governance_promptversion_stays';
    END IF;
    IF NEW.state <> OLD.state AND NOT (
        (OLD.state = 'draft' AND NEW.state IN ('in_review', 'retired'))
        OR (OLD.state = 'in_review' AND NEW.state IN ('draft', 'approved', 'retired'))
        OR (OLD.state = 'approved' AND NEW.state = 'retired')
    ) THEN
        RAISE EXCEPTION 'a version of a prompt goes from draft to review to approved to retired'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'governance_promptversion_states';
    END IF;
    RETURN NEW;
END $$
"""
TRIGGER = """
CREATE TRIGGER governance_promptversion_stays
    BEFORE UPDATE ON governance_promptversion
    FOR EACH ROW EXECUTE FUNCTION governance_promptversion_stays()
"""


class Migration(migrations.Migration):
    dependencies = [("governance", "0006_content")]

    operations = [
        migrations.RunSQL(
            FUNCTION, "DROP FUNCTION governance_promptversion_stays()", hints={"schema": "tenant"}
        ),
        migrations.RunSQL(
            TRIGGER,
            "DROP TRIGGER governance_promptversion_stays ON governance_promptversion",
            hints={"schema": "tenant"},
        ),
    ]
