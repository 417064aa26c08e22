"""Probes of an MLflow server."""

from collections.abc import Iterator

from slipway.doctor import Answer
from slipway.security.http import STRANGER, Server, ask, bound, each, variable

EXPERIMENT = "api/2.0/mlflow/experiments/get?experiment_id=0"
SEARCH = "api/2.0/mlflow/experiments/search"


def examine(server: Server) -> Iterator[Answer]:
    """Every probe; see docs/security.md."""
    checks = {
        "address": lambda one: bound(one, _asks_for_login),
        "login": _login,
        "hosts": _hosts,
        "origins": _origins,
        "jobs": _jobs,
        "pickle": _pickle,
    }
    yield from each(server, checks)


def _asks_for_login(server: Server) -> bool:
    return ask(server, EXPERIMENT, login=False).status == 401


def _login(server: Server) -> Answer:
    """With a login: nobody gets in without, and a wrong password is no login."""
    if server.login is None:
        local = "none is set, which is by design on loopback"
        return Answer("ok" if server.local else "fault", "mlflow login", local if server.local else "none is set")
    user = server.login.partition(":")[0]
    wrong = ask(server._replace(login=f"{user}:not-the-password"), EXPERIMENT).status
    without, right = ask(server, EXPERIMENT, login=False).status, ask(server, EXPERIMENT).status
    if (without, wrong) != (401, 401):
        return Answer("fault", "mlflow login", f"without login {without}, with a wrong one {wrong}; expected 401")
    if right != 200:
        return Answer("not run", "mlflow login", f"our own login gives {right}; set MLFLOW_TRACKING_USERNAME")
    return Answer("ok", "mlflow login", "without login and with a wrong one 401, with ours 200")


def _hosts(server: Server) -> Answer:
    found = ask(server, EXPERIMENT, Host=STRANGER).status
    if found == 403:
        return Answer("ok", "mlflow hosts", "a foreign Host header is refused (403)")
    remedy = "set MLFLOW_SERVER_ALLOWED_HOSTS, and never --disable-security-middleware"
    return Answer("fault", "mlflow hosts", f"a request to the name {STRANGER} gives {found}, not 403; {remedy}")


def _origins(server: Server) -> Answer:
    found = ask(server, SEARCH, body={"max_results": 1}, Origin=f"http://{STRANGER}").status
    if found == 403:
        return Answer("ok", "mlflow origins", "a request that another site's page sends is refused (403)")
    remedy = "set MLFLOW_SERVER_CORS_ALLOWED_ORIGINS to the names that people use"
    return Answer("fault", "mlflow origins", f"a POST from the origin {STRANGER} gives {found}, not 403; {remedy}")


def _jobs(server: Server) -> Answer:
    """Asks for a job without the parameters it needs: a server that runs jobs says which, another that it runs none."""
    found = ask(server, "ajax-api/3.0/jobs/", body={"job_name": "invoke_scorer", "params": {}})
    if "job execution feature is not enabled" in found.body or found.status in (404, 405):
        return Answer("ok", "mlflow jobs", "the server runs no jobs")
    remedy = "start it with MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false"
    if "Missing required parameters" in found.body or found.status == 200:
        return Answer("fault", "mlflow jobs", f"the server takes jobs, code of others that it runs; {remedy}")
    return Answer("not run", "mlflow jobs", f"the probe gave {found.status}, which says neither; {remedy}")


def _pickle(server: Server) -> Answer:
    name = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"
    found = variable(server, name)
    if (found or "").lower() == "false":
        return Answer("ok", "mlflow pickle", f"{name}=false in the server's environment")
    return Answer("fault", "mlflow pickle", f"{name} is {found or 'not set'} for the server; set it to false")
