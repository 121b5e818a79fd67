"""The pages' addresses."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from .views import (
    account,
    enterprise_manager,
    enterprise_manager_add,
    monitoring,
    report,
    report_schedule,
    restore_session,
)

urlpatterns = [
    path("", restore_session.RestoreSessionListView.as_view(), name="restoresession-list"),
    path("restore-sessions.csv", restore_session.restoresession_csv, name="restoresession-csv"),
    path("restore-sessions.pdf", restore_session.restoresession_pdf, name="restoresession-pdf"),
    path("restore-sessions/<int:pk>/", restore_session.restoresession_detail, name="restoresession-detail"),
    path("search/", restore_session.search, name="search"),
    path("reports/", report.report_list, name="report-list"),
    path("reports/add/", report.report_add, name="report-add"),
    path("reports/<int:pk>/", report.report_detail, name="report-detail"),
    path("reports/<int:pk>/file/", report.report_file, name="report-file"),
    path("reports/schedules/add/", report_schedule.reportschedule_add, name="reportschedule-add"),
    path("reports/schedules/<int:pk>/", report_schedule.reportschedule_edit, name="reportschedule-edit"),
    path("reports/deliveries/<int:pk>/resend/", report_schedule.delivery_resend, name="delivery-resend"),
    path("enterprise-managers/", enterprise_manager.enterprisemanager_list, name="enterprisemanager-list"),
    path(
        "enterprise-managers/add/", enterprise_manager_add.enterprisemanager_add, name="enterprisemanager-add"
    ),
    path(
        "enterprise-managers/add/test/",
        enterprise_manager_add.enterprisemanager_add_test,
        name="enterprisemanager-add-test",
    ),
    path(
        "enterprise-managers/add/save/",
        enterprise_manager_add.enterprisemanager_save,
        name="enterprisemanager-save",
    ),
    path(
        "enterprise-managers/<int:pk>/",
        enterprise_manager.enterprisemanager_detail,
        name="enterprisemanager-detail",
    ),
    *(
        path(
            f"enterprise-managers/<int:pk>/{act}/",
            getattr(enterprise_manager, f"enterprisemanager_{act}"),
            name=f"enterprisemanager-{act}",
        )
        for act in ("progress", "sync", "resume", "pin", "test", "edit")
    ),
    path(
        "enterprise-managers/<int:pk>/gaps/<int:gap>/explain/",
        enterprise_manager.enterprisemanager_explain,
        name="enterprisemanager-explain",
    ),
    path("account/", account.account, name="account"),
    path("login/", account.log_in, name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("healthz", monitoring.healthz, name="healthz"),
    path("metrics", monitoring.metrics, name="metrics"),
    path("welcome/<str:token>/", account.welcome, name="welcome"),
]
