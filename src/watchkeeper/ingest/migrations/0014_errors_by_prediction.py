from datetime import timedelta

from django.db import migrations, models
from django.utils import timezone

from watchkeeper.core.settings import settings


def mark(apps, schema_editor):
    """The days of regressions whose relations are stored are counted again, with the errors by prediction, where their rows are still kept."""
    relations, outcomes, dirty = (apps.get_model("ingest", name).objects for name in ("RelationProfile", "OutcomeProfile", "DirtyDay"))
    now = timezone.now()
    numbers = outcomes.filter(kind="numbers").values("model")
    kept = relations.filter(bins__model__in=numbers, day__gt=(now - timedelta(days=settings().keep_rows_days)).date())
    marks = kept.values_list("bins__model", "day").distinct()
    dirty.bulk_create(
        [dirty.model(model_id=model, of="relations", day=day, batch=0, due_at=now) for model, day in marks],
        ignore_conflicts=True,
    )


class Migration(migrations.Migration):
    dependencies = [("ingest", "0013_windows")]

    operations = [
        migrations.AddField(model_name="relationprofile", name="errors", field=models.BinaryField(null=True)),
        migrations.RunPython(mark, migrations.RunPython.noop, elidable=True),
    ]
