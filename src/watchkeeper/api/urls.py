"""Addresses of the REST interface."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.urls import path

from watchkeeper.api.rest import api, openapi_document


def openapi(request: HttpRequest) -> JsonResponse:
    return JsonResponse(openapi_document())


urlpatterns = [path("openapi.json", openapi), path("", api.urls)]
