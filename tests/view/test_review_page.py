"""The review page, end to end: in a browser against the server, and the server against strangers."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from vmforensics import verify
from vmforensics.cli import app
from vmforensics.custody import read_ledger
from vmforensics.errors import CaseError, CustodyError
from vmforensics.testing import Camera, simulate, write_clip
from vmforensics.view import Review, ReviewServer
from vmforensics.view.job import Jobs
from vmforensics.view.review import read_wish

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from browser import Witness, chromium, violations

CASE = """
version: 1
case: {id: B-1, title: "<script>document.title='taken'</script>"}
evidence: [{path: clip.mkv}]
camera: {shutter: global, capture_fps: 1000}
runs: [{name: first, motion_estimator: image-svd, denoiser: []}]
"""


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cases") / "B-1"
    folder.mkdir()
    clip = simulate(Camera(width=64, height=48, fps=1000, frames=300), scene="print", sound="tone:210", rms_px=0.05)
    write_clip(clip, folder / "clip.mkv")
    (folder / "case.yaml").write_text(CASE)
    return folder


@pytest.fixture(scope="module")
def server(case):
    review = Review(case)
    with ReviewServer(review) as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield serving
        serving.shutdown()
        review.close()
        thread.join()


@pytest.fixture
def ask(server):
    """Sends one request as a stranger or as the page would: ask("GET", "/", cookie=True) → status, headers, body."""

    def send(method, path, *, cookie=False, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
        sent = {key.replace("_", "-"): value for key, value in headers.items()}
        if cookie:
            sent["Cookie"] = f"{server.cookie}={server.token}"
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, answer.headers, content

    return send


PATHS = ["/", "/status", "/frames/E1/0.png", "/report.css", "/view.js", "/runs/run-000000000000", "/heat/001.png"]


@pytest.mark.parametrize("path", PATHS)
def test_nothing_without_the_token(ask, path):
    assert ask("GET", path)[0] == 403
    assert ask("GET", path, Cookie="vmforensics-1=x; other=y")[0] == 403


@pytest.mark.parametrize("host", ["evil.example", "localhost", "127.0.0.1", "127.0.0.1:1", ""])
def test_nothing_under_another_name(ask, server, host):
    assert ask("GET", "/", cookie=True, Host=host)[0] == 421
    assert ask("POST", "/runs", cookie=True, Host=host, body="{}", X_Token=server.token)[0] == 421


def test_listens_on_the_loopback_only(server):
    assert server.server_address[0] == "127.0.0.1"


def test_token_goes_from_the_address_into_a_cookie(ask, server):
    assert ask("GET", "/?token=wrong")[0] == 403
    status, headers, _ = ask("GET", f"/?token={server.token}")
    assert (status, headers["Location"]) == (303, "/")
    assert headers["Set-Cookie"].endswith("; Path=/; HttpOnly; SameSite=Strict")
    assert len(server.token) >= 32


@pytest.mark.parametrize(
    "path",
    ["/../case.yaml", "/..%2fcase.yaml", "/frames/..%2f..%2fetc/0.png", "/frames/E1/-1.png", "/heat/..%2f.png",
     "/runs/run-..%2f..", "/case.yaml", "//etc/passwd", "/frames/E9/0.png", "/frames/E1/99999.png"],
)  # fmt: skip
def test_no_way_out_of_the_page(ask, path):
    status, _, content = ask("GET", path, cookie=True)
    assert status in (404, 409)
    assert b"version: 1" not in content


def test_acts_need_the_token_in_a_header_and_the_own_origin(ask, server):
    body = json.dumps({"exhibit": "E1", "region": None})
    assert ask("POST", "/runs", cookie=True, body=body)[0] == 403
    assert ask("POST", "/runs", body=body, X_Token=server.token)[0] == 403
    assert ask("POST", "/runs", cookie=True, body=body, X_Token=server.token, Origin="http://evil.example")[0] == 403
    assert ask("POST", "/runs", cookie=True, body="x" * 20_000, X_Token=server.token)[0] == 413
    assert ask("POST", "/elsewhere", cookie=True, body=body, X_Token=server.token)[0] == 404
    assert server.review.runs() == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"exhibit": "E9"}, "no exhibit 'E9'"),
        ({"exhibit": "E1", "region": [0, 0, 1]}, "region"),
        ({"exhibit": "E1", "region": ["0", 0, 1, 1]}, "region"),
        ({"exhibit": "E1", "more": 1}, "more"),
        ({}, "exhibit"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_with_the_reason(ask, server, body, reason):
    status, _, content = ask("POST", "/runs", cookie=True, body=json.dumps(body), X_Token=server.token)
    assert status == 409
    assert reason in json.loads(content)["error"]


def test_policies_are_sent(ask):
    _, headers, _ = ask("GET", "/", cookie=True)
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert (headers["X-Content-Type-Options"], headers["X-Frame-Options"]) == ("nosniff", "DENY")
    assert headers["Cache-Control"] == "no-store"


def test_frames_are_those_of_the_clip(server):
    frames = server.review.frames("E1")
    assert (frames.count, frames.size) == (300, (64, 48))
    last, first = frames.picture(299), frames.picture(0)
    assert last.startswith(b"\x89PNG")
    assert first != last
    assert frames.picture(299) == last


def until(page, condition):
    for _ in range(600):
        if condition():
            return
        page.wait_for_timeout(50)
    raise AssertionError(page.locator(".job").inner_text())


def finished(page, estimator):
    """Whether a run with an estimator has ended, and the page is ready for another."""
    rows = page.locator("#run-rows tr").all_inner_texts()
    return any(estimator in row and "finished" in row for row in rows) and page.locator("#go").is_enabled()


def test_a_case_is_reviewed_end_to_end(case, server):
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        witness = Witness(page)
        page.goto(server.url)
        assert page.url == f"http://{server.host}/"
        assert page.title() != "taken"

        picture = page.locator("#picture")
        until(page, lambda: picture.evaluate("e => e.complete && e.naturalWidth") == 64)
        page.locator(".viewer").focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Shift+ArrowRight")
        assert page.locator("#told").inner_text() == "12 / 300"
        until(page, lambda: picture.get_attribute("src") == "/frames/E1/11.png")

        box = picture.bounding_box()
        page.mouse.move(box["x"] + box["width"] * 8 / 64, box["y"] + box["height"] * 4 / 48)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 56 / 64, box["y"] + box["height"] * 46 / 48, steps=5)
        page.mouse.up()
        assert [page.locator(f"#region-{n}").input_value() for n in ("x", "y", "width", "height")] == [
            "8",
            "4",
            "48",
            "42",
        ]
        assert page.locator("#overlay rect").nth(1).get_attribute("width") == "48"

        for estimator in ("image-svd", "mean-intensity"):
            page.locator("#estimator").select_option(estimator)
            page.locator("#go").click()
            until(page, lambda name=estimator: finished(page, name))
            page.locator("#whole").click()
        rows = page.locator("#run-rows tr").all_inner_texts()
        assert "8, 4, 48, 42" in rows[0]
        assert "image-svd" in rows[0]
        assert "mean-intensity" in rows[1]

        for number in (0, 1):
            page.locator("#run-rows input").nth(number).check()
        until(page, lambda: page.locator("#chosen article").count() == 2)
        audio = page.locator("#chosen audio").first
        until(page, lambda: audio.evaluate("a => a.readyState") >= 1)
        page.locator("#chosen .play").first.click()
        until(page, lambda: audio.evaluate("a => a.currentTime") > 0.1)
        assert violations(page) == []
        page.set_viewport_size({"width": 380, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 380
        assert witness.complaints == []
        assert {url.split("/")[2] for url in witness.requests if url.startswith("http")} == {server.host}

    for name in ("001", "002"):
        assert verify(case / "runs" / name).ok
    first = read_ledger(case / "runs" / "001" / "ledger.jsonl")[0]
    assert first.event == "run-started"
    assert "region:" in (case / "runs" / "001" / "case.yaml").read_text()


def test_one_piece_of_work_at_a_time_and_it_can_be_stopped():
    jobs, going = Jobs(), threading.Event()

    def work(watcher):
        going.set()
        while True:
            watcher.progress("counting", 1, 2, "frames")

    jobs.begin(work)
    going.wait(10)
    with pytest.raises(CaseError, match="a run is going on"):
        jobs.begin(work)
    assert jobs.told()["state"] == "running"
    jobs.close()
    assert jobs.told()["state"] == "failed"
    assert "stopped" in jobs.told()["error"]


def test_a_run_that_is_stopped_says_so_in_its_ledger(case, tmp_path):
    copy = Path(shutil.copytree(case, tmp_path / "B-1", ignore=shutil.ignore_patterns("runs")))
    review = Review(copy)
    review.start(read_wish(b'{"exhibit": "E1"}'))
    review.jobs.stop()
    review.close()
    told = review.jobs.told()
    if told["state"] == "failed":  # it may have been too fast to be stopped
        (run,) = review.runs()
        assert run["status"] == "interrupted"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_the_command_prints_the_address_and_ends_when_told(case, number, code):
    process = subprocess.Popen(
        [Path(sys.executable).with_name("vmforensics"), "view", str(case), "--quiet"],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )
    assert process.stdout is not None
    url = urlsplit(process.stdout.readline().strip())
    connection = http.client.HTTPConnection(url.netloc, timeout=20)
    connection.request("GET", f"/?{url.query}")
    assert connection.getresponse().status == 303
    connection.close()
    process.send_signal(number)
    assert process.wait(20) == code
    process.stdout.close()


def test_only_a_case_is_reviewed(tmp_path, case):
    with pytest.raises(CustodyError, match="is no case folder"):
        Review(tmp_path)
    with pytest.raises(CustodyError, match="is no case folder"):
        app(["view", str(tmp_path)], standalone_mode=False)
