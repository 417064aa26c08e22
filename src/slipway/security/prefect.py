"""Probes of a Prefect server."""

import json
from collections.abc import Iterator

from slipway.doctor import Answer
from slipway.security.http import Server, ask, bound, each, opens_socket


def examine(server: Server) -> Iterator[Answer]:
    """Every probe; see docs/security.md."""
    checks = {
        "address": lambda one: bound(one, _asks_for_login),
        "login": _login,
        "CSRF": _csrf,
        "sockets": _sockets,
        "telemetry": _telemetry,
    }
    yield from each(server, checks)


def _asks_for_login(server: Server) -> bool:
    return ask(server, "admin/version", login=False).status == 401


def _login(server: Server) -> Answer:
    if server.login is None:
        local = "none is set, which is by design on loopback"
        remedy = "none is set; start it with PREFECT_SERVER_API_AUTH_STRING"
        return Answer("ok" if server.local else "fault", "prefect login", local if server.local else remedy)
    wrong = ask(server._replace(login="slipway:not-the-password"), "admin/version").status
    without, right = ask(server, "admin/version", login=False).status, ask(server, "admin/version").status
    if (without, wrong) != (401, 401):
        return Answer("fault", "prefect login", f"without login {without}, with a wrong one {wrong}; expected 401")
    if right != 200:
        return Answer("not run", "prefect login", f"our own login gives {right}; set PREFECT_API_AUTH_STRING")
    return Answer("ok", "prefect login", "without login and with a wrong one 401, with ours 200")


def _csrf(server: Server) -> Answer:
    """A POST that only reads, without the token that Prefect's own pages and client fetch first."""
    found = ask(server, "flows/filter", body={"limit": 1}).status
    if found == 403:
        return Answer("ok", "prefect CSRF", "a POST without token is refused (403)")
    remedy = "start it with PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED=true"
    return Answer("fault", "prefect CSRF", f"a POST without token gives {found}, not 403; {remedy}")


def _sockets(server: Server) -> Answer:
    """The socket that takes events, which can set off automations; the token against other sites does not guard it."""
    if not opens_socket(server, "events/in"):
        return Answer("ok", "prefect sockets", "a socket without login is refused")
    open_ = f"a page of another site may open the socket for events of {server.url}"
    if server.local and server.login is None:
        return Answer("note", "prefect sockets", f"{open_}; PREFECT_SERVER_API_AUTH_STRING closes it")
    return Answer("fault", "prefect sockets", f"{open_}; start it with PREFECT_SERVER_API_AUTH_STRING")


def _telemetry(server: Server) -> Answer:
    """What the server says of its own settings."""
    reply = ask(server, "admin/settings")
    try:
        on = bool(json.loads(reply.body)["server"]["analytics_enabled"])
    except (ValueError, KeyError, TypeError):
        return Answer("not run", "prefect telemetry", f"its settings cannot be read ({reply.status})")
    if on:
        return Answer("fault", "prefect telemetry", "on; start it with PREFECT_SERVER_ANALYTICS_ENABLED=false")
    return Answer("ok", "prefect telemetry", "off, as the server says")
