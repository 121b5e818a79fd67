"""All addresses, and the pages for those that fail."""

from django.urls import include, path

urlpatterns = [
    path("api/v1/", include(("restorereports.api.urls", "api"))),
    path("", include("restorereports.web.urls")),
]

handler400 = "restorereports.web.errors.bad_request"
handler403 = "restorereports.web.errors.permission_denied"
handler404 = "restorereports.web.errors.page_not_found"
handler500 = "restorereports.web.errors.server_error"
