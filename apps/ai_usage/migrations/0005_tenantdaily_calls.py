from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("ai_usage", "0004_idempotent_call"),
    ]

    operations = [
        migrations.AddField(
            model_name="tenantdaily",
            name="calls",
            field=models.BigIntegerField(db_default=0),
        ),
    ]
