"""An identity provider on 127.0.0.1 that says whatever a test wants it to say, wrong things too."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

KEY = RSAKey.generate_key(2048, {"kid": "of the provider"}, private=True)
ANOTHER_KEY = RSAKey.generate_key(2048, {"kid": "of the provider"}, private=True)
CLIENT_ID = "restore-reports"


class LyingProvider:
    """Honest until a test changes what is here."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.claims: dict[str, Any] = {"sub": "subject-1", "preferred_username": "j.doe", "name": "Jo Doe"}
        self.nonce = ""
        self.signed_with = KEY
        self.algorithm = "RS256"
        self.discovery: dict[str, Any] = {}  # instead of what is true
        self.token: dict[str, Any] = {}  # beside the ID token
        self.userinfo: dict[str, Any] = {}
        self.token_status = 200
        self.raw: dict[str, tuple[int, bytes]] = {}  # path -> status and body, whatever it is
        self.slow = 0.0  # seconds before each answer
        self.asked: list[tuple[str, dict[str, Any]]] = []  # path, what was sent

    def id_token(self) -> str:
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": self.nonce}
        claims |= self.claims
        header = {"alg": self.algorithm, "kid": "of the provider"}
        return jwt.encode(header, {k: v for k, v in claims.items() if v is not None}, self.signed_with)

    def answer(self, path: str) -> tuple[int, Any]:
        if path == "/.well-known/openid-configuration":
            return 200, {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "jwks_uri": f"{self.issuer}/jwks",
            } | self.discovery
        if path == "/jwks":
            return 200, KeySet([KEY]).as_dict(private=False)
        if path == "/userinfo":
            return 200, self.userinfo
        if self.token_status != 200:
            return self.token_status, {"error": "invalid_grant"}
        return 200, {"access_token": "a", "token_type": "Bearer", "id_token": self.id_token()} | self.token


@contextlib.contextmanager
def running() -> Iterator[LyingProvider]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            length = int(self.headers.get("Content-Length") or 0)
            sent = {name: values[0] for name, values in parse_qs(self.rfile.read(length).decode()).items()}
            provider.asked.append((path, sent | {"authorization": self.headers.get("Authorization", "")}))
            time.sleep(provider.slow)
            if path in provider.raw:
                status, body = provider.raw[path]
            else:
                status, said = provider.answer(path)
                body = json.dumps(said).encode()
            self.send_response(status)
            if status in (301, 302):
                self.send_header("Location", f"{provider.issuer}/elsewhere")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # nobody waited
                self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = LyingProvider(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
