"""The reference on the Data page and over REST: accepted, shown, taken back."""

from datetime import timedelta

from django.test import Client

from tests.platform import Platform
from tests.risks.story import normal_rows
from watchkeeper.registry.models import RegisteredModel


def drifted(platform: Platform) -> RegisteredModel:
    model = platform.register()
    platform.train(model, reference=normal_rows())
    for day in range(4):
        platform.predict_features(model, normal_rows(2.0, seed=day, count=300), version="1")
        platform.work(days=1)
    platform.work(minutes=2)
    return model


def test_the_page_accepts_shows_and_takes_back(owner: Client, platform: Platform) -> None:
    moved = drifted(platform)
    page = f"/models/{moved.id}/columns/"
    assert "Compared with the rows of the training." in owner.get(page).content.decode()
    given = {"first": str(platform.clock.now().date() - timedelta(days=3)), "last": str(platform.clock.now().date() - timedelta(days=2))}

    assert owner.post(f"/models/{moved.id}/reference/", given).status_code == 302
    assert "columns are being counted again" in owner.get(page).content.decode()
    platform.work(minutes=2)
    html = owner.get(page).content.decode()
    assert f"Compared with the accepted period {given['first']} – {given['last']}." in html
    assert "Take the accepted period back" in html

    owner.post(f"/models/{moved.id}/reference/back/")
    platform.work(minutes=2)
    assert "Compared with the rows of the training." in owner.get(page).content.decode()


def test_a_period_without_days_is_refused_in_words(owner: Client, platform: Platform) -> None:
    model = platform.register()

    answer = owner.post(f"/models/{model.id}/reference/", {"first": "soon"}, follow=True)

    assert "A period needs a first and a last day." in answer.content.decode()
