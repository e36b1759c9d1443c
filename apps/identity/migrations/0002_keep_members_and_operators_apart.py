"""In a tenant's schema nobody is an operator; in `public` everybody is. The owner's constraints, not the tenant plane's."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("identity", "0001_initial")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE identity_user ADD CONSTRAINT identity_user_no_operator_in_a_tenant CHECK (NOT is_operator)",
            "ALTER TABLE identity_user DROP CONSTRAINT identity_user_no_operator_in_a_tenant",
            hints={"schema": "tenant"},
        ),
        migrations.RunSQL(
            "ALTER TABLE identity_user ADD CONSTRAINT identity_user_only_operators_in_public CHECK (is_operator)",
            "ALTER TABLE identity_user DROP CONSTRAINT identity_user_only_operators_in_public",
            hints={"schema": "public"},
        ),
    ]
