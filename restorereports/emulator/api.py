"""From a request to a document: the door (logon), the rights, and which function answers which path."""

from __future__ import annotations

from restorereports.emulator.exchange import ApiError, Call, Document, Hrefs, Parameters, Reply, Request
from restorereports.emulator.filters import BadFilter
from restorereports.emulator.logons import LogonSession
from restorereports.emulator.resources import ROUTES
from restorereports.emulator.service import Service, error_document
from restorereports.emulator.system import VERSIONS, logon_session, root
from restorereports.emulator.wire import write_reply

_TOKEN = "X-RestSvcSessionId"  # noqa: S105 - the name of a header


def answer(service: Service, request: Request, *, scheme: str) -> Reply:
    """The reply to any request; whatever is wrong becomes an Error body."""
    service.turn += 1
    host = service.switches.href_host or request.headers.get("host", "localhost")
    href = Hrefs(f"{scheme}://{host}")
    try:
        document = _dispatch(service, request, href)
    except ApiError as error:
        document = error_document(error)
    except BadFilter as error:
        document = error_document(ApiError(service.switches.bad_query_status, str(error)))
    if isinstance(document, Reply):
        return document
    return write_reply(document, as_json=request.wants_json, switches=service.switches, turn=service.turn)


def _dispatch(service: Service, request: Request, href: Hrefs) -> Document | Reply:
    parts = [part for part in request.path.split("/") if part]
    if not parts or parts[0].lower() != "api":
        raise ApiError(404, "Not found.")
    parameters = Parameters(request.query)
    if len(parts) == 1:
        _allow(request, "GET")
        return root(href)
    if len(parts) == 2 and parts[1].lower() == "sessionmngr":
        _allow(request, "POST")
        return _log_on(service, request, parameters, href)
    session = service.logons.use(_token(request))
    if session is None:
        raise ApiError(401, "Unauthorized: the session is missing or has expired.")
    return _route(service, request, parts[1:], parameters, href, session)


def _route(
    service: Service,
    request: Request,
    parts: list[str],
    parameters: Parameters,
    href: Hrefs,
    session: LogonSession,
) -> Document | Reply:
    for pattern, methods in ROUTES.items():
        ids = _match(pattern, parts)
        if ids is None:
            continue
        route = methods.get(request.method)
        if route is None:
            raise ApiError(405, f"The method {request.method} is not allowed here.")
        if route.right is not None and not session.account.may(route.right):
            raise ApiError(403, "Access is denied for your role.")
        return route.handler(service, Call(request, parameters, ids, session.account, href))
    raise ApiError(404, "There is no such resource.")


def _match(pattern: str, parts: list[str]) -> tuple[str, ...] | None:
    """The ids in a path that fits a pattern such as `restoreSessions/*`, in any case; None if it does not fit."""
    wanted = pattern.split("/")
    if len(wanted) != len(parts):
        return None
    ids = []
    for name, part in zip(wanted, parts, strict=True):
        if name == "*":
            ids.append(part)
        elif name.lower() != part.lower():
            return None
    return tuple(ids)


def _allow(request: Request, method: str) -> None:
    if request.method != method:
        raise ApiError(405, f"The method {request.method} is not allowed here.")


def _token(request: Request) -> str | None:
    """The token; a cookie of that name wins over the header."""
    for part in request.headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == _TOKEN:
            return value.strip('"')
    return request.headers.get(_TOKEN.lower())


def _log_on(service: Service, request: Request, parameters: Parameters, href: Hrefs) -> Document:
    if "content-length" not in request.headers:
        raise ApiError(411, "Length Required.")
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.body and media_type not in {"application/xml", "application/json", "text/xml"}:
        raise ApiError(415, "Unsupported Media Type.")
    _check_version(parameters.get("v"), service.switches.old_versions)
    session = service.logons.log_on(request.headers.get("authorization"))
    if session is None:
        challenge = {"WWW-Authenticate": "Basic Realm=RestSvc"}
        raise ApiError(401, "Unauthorized: the user name or the password is wrong.", headers=challenge)
    members = logon_session(session, href)
    headers = {
        _TOKEN: session.token,
        "Set-Cookie": f"{_TOKEN}={session.token}; Path=/api;",
        "Location": str(members["Href"]),
    }
    return Document("LogonSession", members, status=201, headers=headers)


def _check_version(version: str | None, old_versions: bool) -> None:
    """`latest`, `v1_7`, `1_7` or nothing."""
    if version is None or version.lower() == "latest":
        return
    number = version.lower().removeprefix("v")
    known = number.startswith("1_") and number[2:].isdigit() and int(number[2:]) <= 7
    if not known or (not old_versions and f"v{number}" not in VERSIONS):
        raise ApiError(400, "The version of the API is not supported.")
