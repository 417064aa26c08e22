"""Events from a console: sent to a server that is there, none started for them, and nothing fails for want of one."""

import http.server
import json
import os
import subprocess
import sys
import threading

import pytest

from flows import rescan_console, watching, yank_console
from flows.server import prefect_api
from slipway import processes
from tests import release_project


@pytest.fixture
def two(project, run):
    for card in ("# One\n", "# Two\n"):
        release_project.bundle(project, card=card)
        run(project)
    return project


@pytest.fixture
def grumpy(monkeypatch):
    """A server that says it is well and takes nothing."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer(200 if self.path.endswith(("health", "version")) else 404)

        def do_POST(self):
            self.answer(422)

        def answer(self, status):
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{server.server_port}/api")
    yield
    server.shutdown()
    server.server_close()


def test_without_a_server_nothing_is_said_and_prefect_is_not_even_imported(two):
    code = (
        "import sys\nfrom flows import yank_console\n"
        "code = yank_console.main(['tiny@v2', '--reason', 'bad'])\nassert 'prefect' not in sys.modules\nsys.exit(code)"
    )
    env = os.environ | {"PYTHONPATH": str(release_project.ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=two, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "prefect" not in done.stdout
    assert not (two / ".slipway" / "prefect" / "server.log").exists(), "no server was started"


def test_a_server_that_does_not_answer_is_told_in_a_line_and_all_is_done(two, capsys, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{processes.free_port()}/api")
    assert yank_console.main(["tiny@v2", "--reason", "bad"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("prefect")]
    assert line.startswith("prefect    was not told: PREFECT_API_URL=")
    assert rescan_console.main([]) == 0
    assert "prefect" not in capsys.readouterr().out, "there was nothing to tell"


def test_a_server_that_takes_nothing_is_told_in_a_line_and_all_is_done(two, grumpy, capsys):
    assert yank_console.main(["tiny@v2", "--reason", "bad"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("prefect")]
    assert "did not take it" in line


@pytest.mark.journey
def test_what_a_console_does_is_told_to_the_server_that_runs_here(two, capsys):
    from tests.flows.test_rescan_flow import events

    assert rescan_console.main([]) == 0
    path = two / ".slipway" / "store" / "releases" / "tiny" / "v2" / "README.md"
    with prefect_api(two) as url:
        facts = {"url": url, "port": int(url.split(":")[2].split("/")[0])}
        processes.record(two / ".slipway" / "servers" / "prefect.json", os.getpid(), **facts)  # as `slipway up` does
        path.write_bytes(path.read_bytes() + b" ")
        assert rescan_console.main([]) == 1
        assert "- prefect    1 sent (slipway.incident)" in capsys.readouterr().out
        assert yank_console.main(["tiny@v2", "--reason", "its card was altered", "--severity", "high"]) == 0
        assert "prefect    1 sent (slipway.yanked)" in capsys.readouterr().out
        assert rescan_console.main([]) == 0
        assert "(slipway.incident.mended)" in capsys.readouterr().out
        found = events(url, 3)
    assert set(found) == {"slipway.incident", "slipway.incident.mended", "slipway.yanked"}
    assert found["slipway.incident"]["resource"]["prefect.resource.id"] == "slipway.release.tiny.v2"
    assert found["slipway.yanked"]["resource"]["prefect.resource.name"] == "tiny@v2"
    kept = json.loads((two / ".slipway" / "yanks" / "tiny-v2.json").read_text())
    assert found["slipway.yanked"]["payload"] == kept
    assert watching.rescan(two).failed is False
