from django.db import migrations, models
from django.db.models import F, Window
from django.db.models.functions import Least, RowNumber

AT_ONCE = 10_000


def forget_older(apps, schema_editor):
    points = apps.get_model("ingest", "MetricPoint").objects
    series = [F("model"), F("name"), F("dataset"), F("version"), F("segment")]
    place = Window(RowNumber(), partition_by=series, order_by=[Least("timestamp", "received_at").desc(), F("id").desc()])
    older = list(points.annotate(place=place).filter(place__gt=2).values_list("id", flat=True))
    for start in range(0, len(older), AT_ONCE):
        points.filter(id__in=older[start : start + AT_ONCE]).update(is_recent=False)


class Migration(migrations.Migration):
    dependencies = [("ingest", "0001_initial")]

    operations = [
        migrations.AddField(model_name="metricpoint", name="is_recent", field=models.BooleanField(default=True)),
        migrations.RunPython(forget_older, migrations.RunPython.noop, elidable=True),
        migrations.AddIndex(
            model_name="metricpoint",
            index=models.Index(condition=models.Q(("is_recent", True)), fields=["model"], name="point_recent"),
        ),
    ]
