"""The pages' addresses."""

from django.urls import path

from .views import (
    account,
    api_token,
    audit,
    enterprise_manager,
    enterprise_manager_add,
    group,
    monitoring,
    one_time_link,
    person,
    report,
    report_schedule,
    restore_session,
    second_factor,
    sign_in,
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
    path("people/", person.person_list, name="person-list"),
    path("people/add/", person.person_add, name="person-add"),
    path("people/<int:pk>/", person.person_edit, name="person-edit"),
    path("people/<int:pk>/link/", person.person_link, name="person-link"),
    path("groups/", group.group_list, name="group-list"),
    path("groups/add/", group.group_add, name="group-add"),
    path("groups/<int:pk>/", group.group_edit, name="group-edit"),
    path("groups/<int:pk>/delete/", group.group_delete, name="group-delete"),
    path("link/<int:pk>/<str:token>/", one_time_link.one_time_link, name="link"),
    path("audit/", audit.audit_list, name="audit-list"),
    path("audit.csv", audit.audit_csv, name="audit-csv"),
    path("account/", account.account, name="account"),
    path("account/tokens/", api_token.api_token_list, name="api-token-list"),
    path("account/tokens/<int:pk>/revoke/", api_token.api_token_revoke, name="api-token-revoke"),
    path("account/log-out-everywhere/", account.log_out_everywhere, name="log-out-everywhere"),
    path("account/second-factor/", second_factor.second_factor_set_up, name="second-factor"),
    path("account/second-factor/remove/", second_factor.second_factor_remove, name="second-factor-remove"),
    path("account/recovery-codes/", second_factor.recovery_codes_renew, name="recovery-codes"),
    path("login/", sign_in.log_in, name="login"),
    path("login/code/", sign_in.log_in_code, name="login-code"),
    path("login/openid/", sign_in.log_in_openid, name="login-openid"),
    path("login/openid/callback/", sign_in.log_in_openid_callback, name="login-openid-callback"),
    path("logout/", sign_in.log_out, name="logout"),
    path("healthz", monitoring.healthz, name="healthz"),
    path("metrics", monitoring.metrics, name="metrics"),
    path("welcome/<str:token>/", account.welcome, name="welcome"),
]
