"""The catalogue's version moves with every statement that touches the catalogue, whoever writes it."""

from django.db import migrations

TABLES = ["provider", "credential", "route", "routetarget", "costrate", "pricerate"]

FUNCTION = """
INSERT INTO public.ai_usage_catalogueversion (id, version) VALUES (1, uuidv7()) ON CONFLICT DO NOTHING;
CREATE OR REPLACE FUNCTION public.ai_usage_catalogue_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE public.ai_usage_catalogueversion SET version = uuidv7();
    RETURN NULL;
END $$;
"""
TRIGGERS = "\n".join(
    f"CREATE OR REPLACE TRIGGER catalogue_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE "
    f"ON public.ai_usage_{table} FOR EACH STATEMENT EXECUTE FUNCTION public.ai_usage_catalogue_changed();"
    for table in TABLES
)


class Migration(migrations.Migration):
    dependencies = [("ai_usage", "0002_rates_never_change")]
    operations = [migrations.RunSQL(FUNCTION + TRIGGERS, migrations.RunSQL.noop, hints={"schema": "public"})]
