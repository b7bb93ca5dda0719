"""The review page's server: on this computer only, for whoever knows its token."""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from vmforensics.errors import CaseError, VmforensicsError
from vmforensics.report.catalogue import DEFAULT_LANGUAGE, catalogue
from vmforensics.report.quantities import number
from vmforensics.view.page import fragment, page, static
from vmforensics.view.review import Review, read_wish

_LOOPBACK = "127.0.0.1"
_LARGEST_REQUEST = 10_000  # bytes
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_FRAME = re.compile(r"/frames/(?P<exhibit>[^/]+)/(?P<number>[0-9]{1,9})\.png")
_RUN = re.compile(r"/runs/(?P<key>run-[0-9a-f]{12})")
_HEAT = re.compile(r"/heat/(?P<name>[0-9]{3,9})\.png")
_STATIC = re.compile(r"/(?P<name>[a-z]+\.(?:css|js))")


class ReviewServer(ThreadingHTTPServer):
    """Serves one case on the loopback interface.

    A request counts only if it names this very address as its host, so that no page of another site reaches it by a
    name that leads here; and if it carries the token, which only the address printed at the start holds. Acts need
    the token in a header too, which no form of another page can send.

    Parameters
    ----------
    review
        The case.
    port
        Where to listen; 0 for any free port.
    language
        Of the page's texts.

    Raises
    ------
    OSError
        The port is taken.
    """

    daemon_threads = True

    def __init__(self, review: Review, port: int = 0, language: str = DEFAULT_LANGUAGE) -> None:
        self.review = review
        self.language = language
        self.token = secrets.token_urlsafe(32)
        super().__init__((_LOOPBACK, port), _Request)

    @property
    def host(self) -> str:
        """The address that requests must name."""
        return f"{_LOOPBACK}:{self.server_port}"

    @property
    def cookie(self) -> str:
        """Name of the cookie that holds the token; cookies don't tell ports apart, so the name does."""
        return f"vmforensics-{self.server_port}"

    @property
    def url(self) -> str:
        """The address to open, with the token."""
        return f"http://{self.host}/?token={self.token}"


class _Refused(Exception):
    """A request that isn't answered, with the reason."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _Request(BaseHTTPRequestHandler):
    """One request."""

    server: ReviewServer
    protocol_version = "HTTP/1.1"
    server_version = "vmforensics"
    sys_version = ""
    timeout = 60

    def do_GET(self) -> None:
        """Show something."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """Do something."""
        self._answer(self._post)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: only the command line prints."""

    def _answer(self, act: Callable[[], None]) -> None:
        try:
            self._check_host()
            act()
        except _Refused as refusal:
            self._json({"error": str(refusal), "hint": ""}, refusal.status)
        except CaseError as error:
            self._json({"error": error.message, "hint": error.hint or ""}, HTTPStatus.CONFLICT)
        except VmforensicsError as error:
            self._json({"error": error.message, "hint": error.hint or ""}, HTTPStatus.NOT_FOUND)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            self.close_connection = True

    def _check_host(self) -> None:
        if self.headers.get("Host") != self.server.host:
            raise _Refused(HTTPStatus.MISDIRECTED_REQUEST, "this server answers to its own address only")

    def _get(self) -> None:
        address = urlsplit(self.path)
        review = self.server.review
        if address.path == "/" and address.query:
            self._enter(parse_qs(address.query).get("token", [""])[0])
        elif not self._knows_token(self._cookie()):
            raise _Refused(HTTPStatus.FORBIDDEN, "open the address that vmforensics view printed, with its token")
        elif address.path == "/":
            self._send(page(review, self.server.token, self.server.language), "text/html; charset=utf-8")
        elif address.path == "/status":
            self._json({"job": review.jobs.told(), "runs": self._runs(), "heat": sorted(review.heat_maps())})
        elif found := _FRAME.fullmatch(address.path):
            frames = review.frames(unquote(found["exhibit"]))
            self._send(frames.picture(int(found["number"])), "image/png")
        elif found := _RUN.fullmatch(address.path):
            self._send(fragment(review, found["key"], self.server.language), "text/html; charset=utf-8")
        elif (found := _HEAT.fullmatch(address.path)) and found["name"] in review.heat_maps():
            self._send(review.heat_maps()[found["name"]].read_bytes(), "image/png")
        elif (found := _STATIC.fullmatch(address.path)) and (
            file := static(found["name"], self.server.language)
        ) is not None:
            kind = "text/css" if found["name"].endswith(".css") else "text/javascript"
            self._send(file, f"{kind}; charset=utf-8")
        else:
            raise _Refused(HTTPStatus.NOT_FOUND, "there is nothing here")

    def _runs(self) -> list[dict[str, Any]]:
        """The runs with what the page writes of them, in its language."""
        t = catalogue(self.server.language)
        return [
            run
            | {
                "end": str(t.named(f"results.status.{run['status']}", run["status"])),
                "answer": str(t.named(f"verdict.{run['verdict']}", run["verdict"])),
                "p": "" if run["p_value"] is None else number(run["p_value"], 2),
            }
            for run in self.server.review.runs()
        ]

    def _post(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > _LARGEST_REQUEST:
            self.close_connection = True
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "a request says how long it is, and is short")
        body = self.rfile.read(int(length))
        if not self._knows_token(self._cookie()) or not self._knows_token(self.headers.get("X-Token", "")):
            raise _Refused(HTTPStatus.FORBIDDEN, "only the page itself can do this")
        if self.headers.get("Origin") not in (None, f"http://{self.server.host}"):
            raise _Refused(HTTPStatus.FORBIDDEN, "only the page itself can do this")
        review = self.server.review
        if self.path == "/stop":
            review.jobs.stop()
        elif self.path == "/runs":
            review.start(read_wish(body))
        elif self.path == "/assessments":
            review.assess(read_wish(body))
        else:
            raise _Refused(HTTPStatus.NOT_FOUND, "there is nothing here")
        self._json({"job": review.jobs.told()}, HTTPStatus.ACCEPTED)

    def _enter(self, token: str) -> None:
        """Take the token from the address into a cookie, and out of sight."""
        if not self._knows_token(token):
            raise _Refused(HTTPStatus.FORBIDDEN, "this isn't the token that vmforensics view printed")
        cookie = f"{self.server.cookie}={token}; Path=/; HttpOnly; SameSite=Strict"
        self._send(b"", "text/plain", HTTPStatus.SEE_OTHER, {"Location": "/", "Set-Cookie": cookie})

    def _cookie(self) -> str:
        try:
            morsel = SimpleCookie(self.headers.get("Cookie", "")).get(self.server.cookie)
        except CookieError:
            return ""
        return morsel.value if morsel is not None else ""

    def _knows_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.server.token.encode())

    def _json(self, content: Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK) -> None:
        self._send(json.dumps(content, ensure_ascii=True).encode(), "application/json", status)

    def _send(
        self,
        content: bytes,
        kind: str,
        status: HTTPStatus = HTTPStatus.OK,
        more: Mapping[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, **(more or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
