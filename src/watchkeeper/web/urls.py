"""Addresses of the pages and of the REST interface."""

from __future__ import annotations

from django.urls import include, path

from watchkeeper.web import operations, shell
from watchkeeper.web.views import board, incidents, models, risks

# the board, models with their risks, incidents
MAIN = [
    path("", board.board, name="board"),
    path("seen/", board.seen, name="board_seen"),
    path("preferences/", shell.choose, name="choose"),
    path("models/", models.every, name="models"),
    path("models/<uuid:id>/", models.overview, name="model"),
    path("models/<uuid:id>/chart/", models.chart, name="model_chart"),
    path("models/<uuid:id>/volume/", models.volume, name="model_volume"),
    path("models/<uuid:id>/metrics/", models.metrics, name="model_metrics"),
    path("models/<uuid:id>/incidents/", models.incidents_of, name="model_incidents"),
    path("models/<uuid:id>/data/", models.data, name="model_data"),
    path("models/<uuid:id>/versions/", models.versions, name="model_versions"),
    path("models/<uuid:id>/passport/", models.passport, name="model_passport"),
    path("models/<uuid:id>/passport/edit/", models.edit, name="model_edit"),
    path("models/<uuid:id>/owners/", models.owners, name="model_owners"),
    path("models/<uuid:id>/metrics/declare/", models.declare, name="model_declare"),
    path("models/<uuid:id>/metrics/remove/", models.undeclare, name="model_undeclare"),
    path("models/<uuid:id>/sources/", models.sources, name="model_sources"),
    path("models/<uuid:id>/sources/remove/", models.unlink, name="model_unlink"),
    path("models/<uuid:id>/tokens/", models.tokens, name="model_tokens"),
    path("models/<uuid:id>/tokens/rotate/", models.rotate, name="model_rotate"),
    path("models/<uuid:id>/tokens/<str:token>/revoke/", models.revoke, name="model_revoke"),
    path("models/<uuid:id>/changes/", models.changes, name="model_changes"),
    path("models/<uuid:id>/retire/", models.retire, name="model_retire"),
    path("models/<uuid:id>/restore/", models.restore, name="model_restore"),
    path("models/<uuid:id>/risks/", risks.bound, name="model_risks"),
    path("models/<uuid:id>/risks/add/", risks.add, name="risk_add"),
    path("models/<uuid:id>/risks/<uuid:binding>/", risks.edit, name="risk_edit"),
    path("models/<uuid:id>/risks/<uuid:binding>/remove/", risks.remove, name="risk_remove"),
    path("models/<uuid:id>/risks/<uuid:binding>/evaluate/", risks.evaluate, name="risk_evaluate"),
    path("incidents/", incidents.every, name="incidents"),
    path("incidents/<int:number>/", incidents.one, name="incident"),
    path("incidents/<int:number>/acknowledge/", incidents.acknowledge, name="incident_acknowledge"),
    path("incidents/<int:number>/assign/", incidents.assign, name="incident_assign"),
    path("incidents/<int:number>/comment/", incidents.comment, name="incident_comment"),
    path("incidents/<int:number>/resolve/", incidents.resolve, name="incident_resolve"),
    path("incidents/<int:number>/cause/", incidents.cause, name="incident_cause"),
    path("incidents/<int:number>/steps/<int:position>/", incidents.step, name="incident_step"),
    path("incidents/<int:number>/chart/", incidents.chart, name="incident_chart"),
]

urlpatterns = [
    path("healthz", operations.healthz),
    path("metrics", operations.metrics),
    path("api/v1/", include("watchkeeper.api.urls")),
    *MAIN,
    path("account/", include("allauth.account.urls")),
]
