"""Requests to a server as strangers make them: without login, under another name, from another site."""

import base64
import http.client
import ipaddress
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

from slipway.doctor import Answer

LIMIT = 20.0
"""Seconds to wait for an answer."""
STRANGER = "attacker.example"


class Server(NamedTuple):
    """A server to look at."""

    name: str
    url: str
    """Of its API, without a slash at the end."""
    login: str | None = None
    """`user:password`, if we have one."""
    pid: int | None = None
    """If it was started here."""

    @property
    def local(self) -> bool:
        """Whether the address is of this machine alone."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


class Reply(NamedTuple):
    """What came back."""

    status: int
    body: str


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """A redirect is an answer too."""


def ask(server: Server, path: str, *, body: object = None, login: bool = True, **headers: str) -> Reply:
    """One request, a POST if it has a body; proxies are not asked.

    Raises:
        OSError: if nobody answers.
    """
    if login and server.login:
        headers["Authorization"] = f"Basic {base64.b64encode(server.login.encode()).decode()}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310  the address is the user's own
        f"{server.url}/{path}", data, {"Content-Type": "application/json", **headers}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
    try:
        with opener.open(request, timeout=LIMIT) as response:
            return Reply(response.status, response.read(1 << 20).decode("utf-8", errors="replace"))
    except urllib.error.HTTPError as error:
        return Reply(error.code, error.read(1 << 20).decode("utf-8", errors="replace"))
    except http.client.HTTPException as error:
        raise OSError(f"what answers speaks no HTTP ({type(error).__name__})") from None


def opens_socket(server: Server, path: str) -> bool:
    """Whether a page of another site gets a WebSocket there without login: browsers ask nobody before they open one.

    Raises:
        OSError: if nobody answers, or neither yes nor no.
    """
    parts = urlsplit(server.url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Origin": f"http://{STRANGER}",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(b"slipway's doctor").decode(),
    }
    connection = kind(str(parts.hostname), parts.port, timeout=LIMIT)
    try:
        connection.request("GET", f"{parts.path}/{path}", headers=headers)
        status = connection.getresponse().status
    except http.client.HTTPException as error:
        raise OSError(f"what answers speaks no HTTP ({type(error).__name__})") from None
    finally:
        connection.close()
    if status not in (101, 401, 403):
        raise OSError(f"the request for a socket gave {status}")
    return status == 101


def each(server: Server, checks: dict[str, Callable[[Server], Answer]]) -> Iterator[Answer]:
    """The answers of `checks`; all of them `not run` if the server does not answer, for then nothing is known."""
    try:
        reply = ask(server, "health")
    except OSError as error:
        reply = Reply(0, str(getattr(error, "reason", error)))
    if reply.status not in (200, 401):
        why = f"answers {reply.status}" if reply.status else f"does not answer ({reply.body})"
        yield Answer("not run", server.name, f"{server.url} {why}; start it, then repeat")
        return
    for subject, check in checks.items():
        try:
            yield check(server)
        except OSError as error:
            yield Answer("not run", f"{server.name} {subject}", f"no answer to the probe ({error}); repeat")


def bound(server: Server, secured: Callable[[Server], bool]) -> Answer:
    """That others reach the server only with a login: it listens on this machine alone, or asks for one."""
    subject = f"{server.name} address"
    if secured(server):
        return Answer("ok", subject, "a request without login is refused (401)")
    if not server.local:
        return Answer("fault", subject, f"{server.url} is not of this machine and asks for no login; set one")
    port, open_at = urlsplit(server.url).port or 80, []
    for address in _own_addresses():
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            probe.settimeout(1)
            if probe.connect_ex((address, port)) == 0:
                open_at.append(address)
    if open_at:
        found = f"answers on {', '.join(open_at)} too, and asks for no login; bind it to 127.0.0.1"
        return Answer("fault", subject, f"port {port} {found}")
    return Answer("ok", subject, f"port {port} answers on loopback only; no login is needed there")


def _own_addresses() -> list[str]:
    """Addresses of this machine by which others could reach it."""
    import psutil

    found = [one.address for many in psutil.net_if_addrs().values() for one in many if one.family in _FAMILIES]
    return [
        address
        for address in found
        if not (parsed := ipaddress.ip_address(address.partition("%")[0])).is_loopback and not parsed.is_link_local
    ]


_FAMILIES = (socket.AF_INET, socket.AF_INET6)


def variable(server: Server, name: str) -> str | None:
    """A variable in the environment of a server that runs here, or None if it is not set.

    Raises:
        OSError: if its environment cannot be seen.
    """
    import psutil

    if server.pid is None:
        raise OSError("it runs elsewhere, and its environment cannot be seen from here")
    try:
        return psutil.Process(server.pid).environ().get(name)
    except psutil.Error as error:
        raise OSError(f"its environment cannot be seen ({type(error).__name__})") from None
