"""Rates are succeeded, never edited: what priced a call yesterday says the same tomorrow."""

from django.db import migrations

# A rate may be given an end that is still to come, or be taken back before it begins. The five minutes are for
# the time between the moment a change was decided and its statement.
FORWARD = """
CREATE FUNCTION public.ai_usage_keep_cost_rate() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.valid_from <= now() THEN
            RAISE EXCEPTION 'A rate that has been in force is never removed.' USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN OLD;
    END IF;
    IF (to_jsonb(NEW) - 'valid_to') IS DISTINCT FROM (to_jsonb(OLD) - 'valid_to') THEN
        RAISE EXCEPTION 'A rate never changes: publish its successor.' USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.valid_to IS DISTINCT FROM OLD.valid_to AND (
        OLD.valid_to < now() - interval '5 minutes' OR NEW.valid_to < now() - interval '5 minutes'
    ) THEN
        RAISE EXCEPTION 'A rate cannot end or begin again in the past.' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER never_changes BEFORE UPDATE OR DELETE ON ai_usage_costrate
    FOR EACH ROW EXECUTE FUNCTION public.ai_usage_keep_cost_rate();

CREATE FUNCTION public.ai_usage_keep_price_rate() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF TG_OP = 'UPDATE' OR EXISTS (
        SELECT FROM public.ai_usage_costrate WHERE id = OLD.cost_rate_id AND valid_from <= now()
    ) THEN
        RAISE EXCEPTION 'A price never changes: publish its successor.' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END $$;

CREATE TRIGGER never_changes BEFORE UPDATE OR DELETE ON ai_usage_pricerate
    FOR EACH ROW EXECUTE FUNCTION public.ai_usage_keep_price_rate();
"""
BACKWARD = """
DROP TRIGGER never_changes ON ai_usage_pricerate;
DROP TRIGGER never_changes ON ai_usage_costrate;
DROP FUNCTION public.ai_usage_keep_price_rate();
DROP FUNCTION public.ai_usage_keep_cost_rate();
"""


class Migration(migrations.Migration):
    dependencies = [("ai_usage", "0001_initial")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD, hints={"schema": "public"})]
