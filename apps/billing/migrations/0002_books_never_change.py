"""The books are closed by the database itself: no role, not even the owner's, edits them by accident."""

from django.db import migrations

SHARED = """
CREATE FUNCTION public.billing_never_changes() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RAISE EXCEPTION 'This row of % is closed and never changes.', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER never_changes BEFORE UPDATE OR DELETE ON billing_planversion
    FOR EACH ROW EXECUTE FUNCTION public.billing_never_changes();
CREATE TRIGGER never_changes BEFORE UPDATE OR DELETE ON billing_statement
    FOR EACH ROW EXECUTE FUNCTION public.billing_never_changes();
CREATE TRIGGER never_changes BEFORE UPDATE OR DELETE ON billing_creditentry
    FOR EACH ROW EXECUTE FUNCTION public.billing_never_changes();
CREATE TRIGGER closed_never_changes BEFORE UPDATE OR DELETE ON billing_billingperiod
    FOR EACH ROW WHEN (OLD.state = 'closed') EXECUTE FUNCTION public.billing_never_changes();
CREATE TRIGGER numbered_never_removed BEFORE DELETE ON billing_invoice
    FOR EACH ROW WHEN (OLD.state <> 'draft') EXECUTE FUNCTION public.billing_never_changes();
-- After its number an invoice only moves on: on its way, open, and then to one of three ends, of which an
-- uncollectible one may still be paid.
CREATE TRIGGER numbered_only_moves_on BEFORE UPDATE ON billing_invoice
    FOR EACH ROW WHEN (OLD.state <> 'draft' AND (
        (OLD.id, OLD.tenant_id, OLD.period_id, OLD.kind, OLD.revision, OLD.number, OLD.currency, OLD.subtotal,
         OLD.total_minor, OLD.carried_out, OLD.finalized_at, OLD.due_at)
        IS DISTINCT FROM
        (NEW.id, NEW.tenant_id, NEW.period_id, NEW.kind, NEW.revision, NEW.number, NEW.currency, NEW.subtotal,
         NEW.total_minor, NEW.carried_out, NEW.finalized_at, NEW.due_at)
        OR NEW.state = 'draft'
        OR OLD.state IN ('paid', 'void') AND NEW.state <> OLD.state
        OR OLD.state IN ('open', 'uncollectible') AND NEW.state = 'finalizing'
    )) EXECUTE FUNCTION public.billing_never_changes();
"""
SHARED_BACK = """
DROP TRIGGER numbered_only_moves_on ON billing_invoice;
DROP TRIGGER numbered_never_removed ON billing_invoice;
DROP TRIGGER closed_never_changes ON billing_billingperiod;
DROP TRIGGER never_changes ON billing_creditentry;
DROP TRIGGER never_changes ON billing_statement;
DROP TRIGGER never_changes ON billing_planversion;
DROP FUNCTION public.billing_never_changes();
"""
TENANT = """
CREATE TRIGGER frozen_never_changes BEFORE UPDATE OR DELETE ON billing_invoiceline
    FOR EACH ROW WHEN (OLD.frozen) EXECUTE FUNCTION public.billing_never_changes();
CREATE TRIGGER never_changes BEFORE UPDATE OR DELETE ON billing_lateusage
    FOR EACH ROW EXECUTE FUNCTION public.billing_never_changes();
"""
TENANT_BACK = """
DROP TRIGGER never_changes ON billing_lateusage;
DROP TRIGGER frozen_never_changes ON billing_invoiceline;
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial")]

    operations = [
        migrations.RunSQL(SHARED, SHARED_BACK, hints={"schema": "public"}),
        migrations.RunSQL(TENANT, TENANT_BACK, hints={"schema": "tenant"}),
    ]
