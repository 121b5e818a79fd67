"""A client with no opinion: sends what it is told, keeps no cookies, follows nothing."""

from __future__ import annotations

import http.cookiejar
import socket
from typing import Any

import requests
from lxml import etree

NAMESPACE = "{http://www.veeam.com/ent/v1.0}"
TOKEN = "X-RestSvcSessionId"


class Caller:
    def __init__(self, url: str, *, verify: Any = True) -> None:
        self.url = url
        self.token: str | None = None
        self.session_id = ""
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.verify = verify
        self.http.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))

    def log_on(self, name: str = "mirror", password: str = "mirror") -> requests.Response:
        answer = self.http.post(f"{self.url}/api/sessionMngr/?v=latest", auth=(name, password), timeout=10)
        self.token = answer.headers.get(TOKEN)
        if answer.status_code == 201:
            self.session_id = answer.headers["Location"].rpartition("/")[2]
        return answer

    def call(
        self, path: str, *, method: str = "GET", json: bool = False, **options: Any
    ) -> requests.Response:
        """`path` begins behind /api/ unless it is a whole address."""
        headers = {TOKEN: self.token} if self.token else {}
        if json:
            headers["Accept"] = "application/json"
        headers |= options.pop("headers", {})
        address = path if path.startswith("http") else f"{self.url}/api/{path}"
        return self.http.request(method, address, headers=headers, **{"timeout": 10, **options})

    def query(self, type_name: str = "RestoreSession", **parameters: Any) -> requests.Response:
        json = parameters.pop("json", False)
        return self.call("query", json=json, params={"type": type_name, "format": "Entities", **parameters})

    def names(self, type_name: str = "RestoreSession", **parameters: Any) -> list[str]:
        """The VM names of the restore sessions (or names, of anything else) that a query finds."""
        answer = self.query(type_name, **{"pageSize": 1000, **parameters})
        assert answer.status_code == 200, answer.text
        attribute = "VmDisplayName" if type_name == "RestoreSession" else "Name"
        return [row.get(attribute, "") for row in xml(answer).iter(f"{NAMESPACE}{type_name}")]

    def close(self) -> None:
        self.http.close()


def xml(answer: requests.Response) -> etree._Element:
    return etree.fromstring(answer.content)


def rows(answer: requests.Response, name: str = "RestoreSession") -> list[etree._Element]:
    return list(xml(answer).iter(f"{NAMESPACE}{name}"))


def text(element: etree._Element, name: str) -> str | None:
    return element.findtext(f"{NAMESPACE}{name}")


def paging(answer: requests.Response) -> tuple[dict[str, int], dict[str, str]]:
    """Numbers and links of PagingInfo."""
    info = next(xml(answer).iter(f"{NAMESPACE}PagingInfo"))
    links = {link.get("Rel", ""): link.get("Href", "") for link in info.iter(f"{NAMESPACE}Link")}
    return {str(name): int(str(value)) for name, value in info.attrib.items()}, links


def error(answer: requests.Response) -> tuple[int, str]:
    """Status and message of an Error body."""
    body = xml(answer)
    assert body.tag == f"{NAMESPACE}Error"
    assert body.get("Status") is None
    assert body.get("StatusCode") == str(answer.status_code)
    return answer.status_code, body.get("Message", "")


def send_raw(port: int, request: str, *, host: str = "127.0.0.1") -> bytes:
    """Send a request as it stands over a new connection (plain HTTP); the whole answer until the server closes."""
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(request.encode())
        return b"".join(iter(lambda: connection.recv(65_536), b""))
