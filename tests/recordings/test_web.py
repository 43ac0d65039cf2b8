"""Downloads from a server on this machine that fails, and by a kagglehub that does."""

import hashlib
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest.mock import Mock

import kagglehub
import pytest
import requests
from kagglehub.exceptions import BackendError, DataCorruptionError

from ecg.recordings import ptbxl, web
from ecg.run.script import UsageError

CONTENT = b"ecg_id,patient_id,strat_fold\n" + b"".join(b"%d,%d.0,3\n" % (i, i + 7) for i in range(1000))
SUMS = f"{hashlib.sha256(CONTENT).hexdigest()} t.csv\n{'0' * 64} other.csv\n".encode()
HANDLE = "owner/data/versions/1"


class Handler(BaseHTTPRequestHandler):
    """Gives the next answer for a path, the last one again and again; 404 where there is none."""

    def do_GET(self):
        answers = self.server.answers.get(self.path, [(404, b"", {})])
        status, content, headers = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        for name, value in {"Content-Length": len(content), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def waits(monkeypatch):
    """The waits (s) between tries, which take no time."""
    waits = []
    monkeypatch.setattr(web.time, "sleep", waits.append)
    return waits


@pytest.fixture
def server(monkeypatch, waits):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.answers = {"/SHA256SUMS.txt": [(200, SUMS, {})]}
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def fetch_table(server, *answers):
    server.answers["/t.csv"] = list(answers)
    url = f"{server.url}/t.csv"
    return web.fetch(url, web.published_checksum(url))


WHOLE = (200, CONTENT, {})
HALF = (200, CONTENT[:5000], {"Content-Length": len(CONTENT)})


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        ([(503, b"", {})] * 3, [1, 2, 4]),
        ([(500, b"busy", {}), (429, b"", {})], [1, 2]),
        ([(429, b"", {"Retry-After": "7"})], [7]),
        ([(503, b"", {"Retry-After": "9" * 5000})], [60]),
        ([(503, b"", {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"})], [1]),
        ([HALF], [1]),
    ],
    ids=["503", "500 and 429", "Retry-After", "Retry-After, long", "Retry-After, date", "half"],
)
def test_a_server_that_recovers(server, waits, faults, expected):
    assert fetch_table(server, *faults, WHOLE) == CONTENT
    assert waits == expected


@pytest.mark.parametrize(
    ("fault", "message", "tries"),
    [
        ((503, b"", {}), r" \(HTTPError 503\)", 6),
        (HALF, r" \(ChunkedEncodingError\)", 6),
        ((404, b"", {}), r" \(HTTPError 404\)", 1),
        ((200, CONTENT[:-1], {}), r": its SHA-256 is \w{64}; allowed: \w{64}", 1),
    ],
    ids=["503", "half", "404", "wrong checksum"],
)
def test_a_server_that_does_not_recover_gives_one_line(server, waits, fault, message, tries):
    with pytest.raises(UsageError, match=rf"^cannot download {server.url}/t.csv{message}$"):
        fetch_table(server, fault)
    assert waits == [1, 2, 4, 8, 16][: tries - 1]


def test_a_file_without_a_published_checksum_is_warned_of(server, capsys):
    for sums in [(404, b"", {}), (200, b"<html>not here</html>\n" + b"0" * 64 + b" tt.csv\n", {})]:
        server.answers["/SHA256SUMS.txt"] = [sums]
        assert fetch_table(server, WHOLE) == CONTENT
        assert "t.csv cannot be verified: no SHA256SUMS.txt beside it names it\n" in capsys.readouterr().err
    server.answers["/SHA256SUMS.txt"] = [(503, b"", {})]
    with pytest.raises(UsageError, match=r"SHA256SUMS.txt \(HTTPError 503\)"):
        fetch_table(server, WHOLE)


def test_the_table_of_patients_is_verified_and_read(server):
    server.answers = {"/t.csv": [WHOLE], "/SHA256SUMS.txt": [(503, b"", {}), (200, SUMS.replace(b" t.", b" *t."), {})]}
    table = ptbxl.read_ptbxl_table(f"{server.url}/t.csv", ["patient_id", "strat_fold"])
    assert len(table) == 1000 and table[0]["patient_id"] == "7.0"


def http_error(status):
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(response=response)


def kaggle_answers(monkeypatch, *answers):
    """Let kagglehub give these answers, one a call: a folder, or an error to raise."""
    monkeypatch.setattr(kagglehub, "dataset_download", Mock(side_effect=answers))


@pytest.mark.parametrize(
    "error",
    [requests.ConnectionError(), requests.Timeout(), http_error(429), http_error(503), DataCorruptionError("MD5")],
)
def test_kaggle_is_asked_again(monkeypatch, waits, tmp_path, error):
    kaggle_answers(monkeypatch, error, error, str(tmp_path))
    assert web.download_data_set(HANDLE) == tmp_path
    assert waits == [1, 2]


@pytest.mark.parametrize(
    ("error", "tries"), [(http_error(404), 1), (BackendError("no such data set"), 1), (requests.ConnectionError(), 6)]
)
def test_kaggle_that_does_not_answer_ends_in_one_line(monkeypatch, waits, error, tries):
    kaggle_answers(monkeypatch, *[error] * 6)
    with pytest.raises(UsageError, match=rf"^cannot download {HANDLE} \(.+\)$"):
        web.download_data_set(HANDLE)
    assert len(waits) == tries - 1


def test_an_archive_that_is_no_good_is_fetched_anew(monkeypatch, waits, tmp_path):
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    archive = tmp_path / "datasets/owner/data/1.archive"  # kagglehub's place for it
    archive.parent.mkdir(parents=True)
    archive.write_bytes(b"<html>busy</html>")
    kaggle_answers(monkeypatch, zipfile.BadZipFile("no zip file"), str(tmp_path))
    assert web.download_data_set(HANDLE) == tmp_path
    assert waits == [1] and not archive.exists()


def test_what_is_in_kagglehubs_cache_needs_no_network(monkeypatch, waits, tmp_path):
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nothing answers there
    folder = tmp_path / "datasets/owner/data/versions/1"
    folder.mkdir(parents=True)
    with pytest.raises(UsageError):
        web.download_data_set(HANDLE)
    (folder.parents[1] / "1.complete").touch()
    assert web.download_data_set(HANDLE) == folder
    assert len(waits) == 5
