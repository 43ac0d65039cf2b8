"""Downloads from a server that fails in every way: a real one, on this machine."""

import base64
import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from conftest import ROOT

from ecg.recordings import ptbxl, web
from ecg.stage.script import UsageError

CONTENT = b"ecg_id,patient_id,strat_fold\n" + b"".join(b"%d,%d.0,3\n" % (i, i + 7) for i in range(20_000))
HANDLE = "owner/data/versions/1"


class Handler(BaseHTTPRequestHandler):
    """Gives the next answer for a path, the last one again and again; 404 where there is none."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers["Range"]))
        answers = self.server.answers.get(self.path, [status(404)])
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_):
        pass


def send(handler, code, content=b"", **headers):
    handler.send_response(code)
    for name, value in {"Content_Length": len(content), "ETag": '"1"', **headers}.items():
        handler.send_header(name.replace("_", "-"), str(value))
    handler.end_headers()
    handler.wfile.write(content)


def status(code, **headers):
    return lambda handler: send(handler, code, **headers)


def whole(content=CONTENT, **headers):
    return lambda handler: send(handler, 200, content, **headers)


def half(content=CONTENT, **headers):
    """The connection ends half way."""
    return lambda handler: send(handler, 200, content[: len(content) // 2], Content_Length=len(content), **headers)


def stall(content=CONTENT, **headers):
    """Half of it, then nothing until the test is over."""

    def answer(handler):
        half(content, **headers)(handler)
        handler.wfile.flush()
        handler.server.over.wait(30)

    return answer


def ranged(content=CONTENT, etag='"1"', **headers):
    """The part that is asked for, if the file is still the one that the client has begun."""

    def answer(handler):
        asked = handler.headers["Range"]
        if not asked or handler.headers["If-Range"] not in (None, etag):
            return send(handler, 200, content, ETag=etag, Accept_Ranges="bytes", **headers)
        start = int(asked[6:-1])
        where = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return send(handler, 206, content[start:], ETag=etag, Content_Range=where, **headers)

    return answer


@pytest.fixture
def server(monkeypatch):
    """A server: `url`, `answers` by path, `asked` (path, range), and `waits` (s) between tries, which take no time."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.answers, server.asked, server.waits, server.over = {}, [], [], threading.Event()
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(web.time, "sleep", server.waits.append)
    monkeypatch.setattr(web, "TIMEOUT", (5, 0.3))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


def sums(content=CONTENT):
    return whole(f"{hashlib.sha256(content).hexdigest()} t.csv\n{'0' * 64} other.csv\n".encode())


def fetch_table(server, *answers, checksum=True):
    server.answers["/t.csv"] = list(answers)
    if checksum:
        server.answers["/SHA256SUMS.txt"] = [sums()]
    url = f"{server.url}/t.csv"
    return web.fetch(url, web.published_checksum(url))


@pytest.mark.parametrize(
    ("fault", "waits"),
    [
        (status(503), [1]),
        (status(500), [1]),
        (status(429), [1]),
        (status(429, Retry_After="7"), [7]),
        (status(503, Retry_After="9" * 5000), [60]),
        (status(503, Retry_After="Wed, 21 Oct 2026 07:28:00 GMT"), [1]),
        (half(), [1]),
        (stall(), [1]),
        (whole(CONTENT, Content_Length=len(CONTENT) + 1), [1]),
        (whole(CONTENT, Content_Length=len(CONTENT) // 2), [1]),
        (whole(CONTENT[:-1] + b"?"), [1]),
        (status(206), [1]),
        (status(416), [1]),
    ],
    ids=lambda value: None if callable(value) else str(value),
)
def test_a_server_that_recovers(server, fault, waits):
    assert fetch_table(server, fault, whole()) == CONTENT
    assert server.waits == waits


@pytest.mark.parametrize("fault", [status(503), half(), stall(), whole(CONTENT[:-1] + b"?"), status(416), status(404)])
def test_a_server_that_does_not_recover_gives_one_line(server, fault):
    with pytest.raises(UsageError, match=rf"^cannot download {server.url}/t.csv \(\w+( \d+)?\)$"):
        fetch_table(server, fault)
    assert server.waits in ([1, 2, 4, 8], [])


def test_a_broken_transfer_goes_on_where_it_ended(server):
    assert fetch_table(server, half(), status(503), ranged()) == CONTENT
    parts = [part for path, part in server.asked if path == "/t.csv"]
    # Transfers are taken in pieces of 64 KiB.
    assert parts == [None, "bytes=131072-", "bytes=131072-"]


def test_a_file_that_changed_meanwhile_or_a_server_without_ranges_starts_anew(server):
    other = CONTENT[::-1]
    assert fetch_table(server, half(other), ranged(etag='"2"')) == CONTENT
    assert fetch_table(server, half(other, ETag='W/"1"'), ranged()) == CONTENT
    assert fetch_table(server, half(other), whole()) == CONTENT


@pytest.mark.parametrize("where", ["bytes 0-{end}/{n}", "bytes 7-{end}/{n}", "bytes */{n}", "", "items"])
def test_another_part_than_was_asked_for_is_not_taken(server, where):
    where = where.format(end=len(CONTENT) - 1, n=len(CONTENT))
    wrong = status(206, Content_Range=where)
    assert fetch_table(server, half(), wrong, whole(), checksum=False) == CONTENT


def test_a_part_of_the_part_is_not_the_whole(server):
    def short(handler):
        where = f"bytes 131072-131171/{len(CONTENT)}"
        send(handler, 206, CONTENT[131072:131172], Content_Range=where)

    assert fetch_table(server, half(), short, ranged(), checksum=False) == CONTENT
    assert server.asked[-1] == ("/t.csv", "bytes=131172-")


def test_a_file_without_a_published_checksum_is_warned_of(server, capsys):
    assert fetch_table(server, whole(), checksum=False) == CONTENT
    server.answers["/SHA256SUMS.txt"] = [whole(b"<html>not here</html>\n" + b"0" * 64 + b" tt.csv\n")]
    assert fetch_table(server, whole(), checksum=False) == CONTENT
    assert capsys.readouterr().err.count("t.csv cannot be verified: no SHA256SUMS.txt beside it names it\n") == 2
    server.answers["/SHA256SUMS.txt"] = [status(503)]
    with pytest.raises(UsageError, match=r"SHA256SUMS.txt \(HTTPError 503\)"):
        fetch_table(server, whole(), checksum=False)


def test_the_table_of_patients_is_verified_and_read(server):
    server.answers = {"/t.csv": [half(), ranged()], "/SHA256SUMS.txt": [status(503), sums()]}
    table = ptbxl.read_ptbxl_table(f"{server.url}/t.csv", ["patient_id", "strat_fold"])
    assert len(table) == 20_000 and table[0]["patient_id"] == "7.0"


def archive(text="recording"):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for i in range(20):
            file.writestr(f"data/r{i:02d}.hea", f"{text} {i}\n" + "x" * 5000)
    return content.getvalue()


ARCHIVE = archive()


def md5(content=ARCHIVE):
    return {"x_goog_hash": f"crc32c=AAAAAA==,md5={base64.b64encode(hashlib.md5(content).digest()).decode()}"}


@pytest.fixture
def kaggle(server, tmp_path, monkeypatch):
    """The server in Kaggle's place, and an empty cache.

    kagglehub 1.0.2 knows its servers by KAGGLE_API_ENVIRONMENT, each with a fixed port: the address of the local one is
    set in its table of them. All else is its own: request, redirect, transfer, resumption, hash, unpacking.
    """
    from kagglesdk import kaggle_env

    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.LOCAL, server.url)
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "cache"))
    # No user's keys are sent.
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path))
    for name in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    server.answers[API] = [status(302, Location="/archive.zip")]
    server.folder = tmp_path / "cache" / "datasets" / "owner" / "data"
    return server


API = "/api/v1/datasets.DatasetApiService/DownloadDataset"


def is_whole(folder, text="recording"):
    names = [f"r{i:02d}.hea" for i in range(20)]
    assert sorted(path.name for path in (folder / "data").iterdir()) == names
    return all((folder / "data" / name).read_text().startswith(f"{text} {i}\n") for i, name in enumerate(names))


@pytest.mark.parametrize(
    "fault",
    [
        status(503),
        status(429, Retry_After="7"),
        half(ARCHIVE),
        half(ARCHIVE, Accept_Ranges="bytes"),
        stall(ARCHIVE, Accept_Ranges="bytes"),
        whole(ARCHIVE[:-1] + b"?", **md5()),
        whole(ARCHIVE, Content_Length=len(ARCHIVE) // 2, Accept_Ranges="bytes"),
        whole(b"<html>busy</html>", Accept_Ranges="bytes"),
        whole(ARCHIVE[:3000] + bytes(50) + ARCHIVE[3050:], Accept_Ranges="bytes"),
    ],
    ids=["503", "429", "drop", "drop, can resume", "stall", "wrong MD5", "wrong length", "a page", "wrong CRC"],
)
@pytest.mark.parametrize("headers", [{}, md5()], ids=["", "MD5"])
def test_kaggle_recovers(kaggle, fault, headers):
    kaggle.answers["/archive.zip"] = [fault, ranged(ARCHIVE, **headers)]
    assert is_whole(web.download_data_set(HANDLE))
    assert len(kaggle.waits) == 1
    # It is now in the cache: no network is asked.
    asked = len(kaggle.asked)
    assert is_whole(web.download_data_set(HANDLE)) and len(kaggle.asked) == asked


def test_kaggle_stalls_before_its_first_answer(kaggle):
    first = kaggle.answers[API][0]
    kaggle.answers[API] = [lambda handler: kaggle.over.wait(30), first]
    kaggle.answers["/archive.zip"] = [ranged(ARCHIVE)]
    assert is_whole(web.download_data_set(HANDLE))


def test_kaggle_resumes_into_an_error_page(kaggle):
    # kagglehub asks for no status when it goes on, and appends what comes.
    def page(handler):
        send(handler, 503, b"<html>busy</html>" * 9)

    kaggle.answers["/archive.zip"] = [half(ARCHIVE, Accept_Ranges="bytes"), ranged(ARCHIVE), page, ranged(ARCHIVE)]
    assert is_whole(web.download_data_set(HANDLE))


@pytest.mark.parametrize(
    "fault",
    [
        status(503),
        half(ARCHIVE, Accept_Ranges="bytes"),
        whole(ARCHIVE[:9000]),
        whole(ARCHIVE[:-1], **md5()),
    ],
    ids=["503", "drop", "truncated", "wrong MD5"],
)
def test_kaggle_that_does_not_recover_leaves_nothing_that_passes_for_whole(kaggle, fault):
    kaggle.answers["/archive.zip"] = [fault]
    with pytest.raises(UsageError, match=rf"^cannot download {HANDLE} \(\w+( \d+)?\)$"):
        web.download_data_set(HANDLE)
    assert kaggle.waits == [1, 2, 4, 8]
    assert not (kaggle.folder / "1.complete").exists()
    kaggle.answers["/archive.zip"] = [ranged(ARCHIVE, **md5())]
    assert is_whole(web.download_data_set(HANDLE))


@pytest.mark.parametrize("when", ["transfer", "unpacking"])
def test_kaggle_killed_in_the_midst(kaggle, when):
    code = f"""
import os, zipfile
from kagglesdk import kaggle_env
from ecg.recordings import web
kaggle_env._env_to_endpoint[kaggle_env.KaggleEnv.LOCAL] = {kaggle.url!r}
extract = zipfile.ZipFile._extract_member
def slow(self, member, *rest):
    if member == "data/r07.hea":
        os.makedirs({str(kaggle.folder / "versions/1/data")!r}, exist_ok=True)
        open({str(kaggle.folder / "versions/1/data/r07.hea")!r}, "w").write("half")
        print("unpacking", flush=True)
        __import__("time").sleep(60)
    return extract(self, member, *rest)
zipfile.ZipFile._extract_member = slow
web.download_data_set({HANDLE!r})
"""
    begun = threading.Event()

    def never_ends(handler):
        half(ARCHIVE, Accept_Ranges="bytes")(handler)
        handler.wfile.flush()
        begun.set()
        kaggle.over.wait(30)

    kaggle.answers["/archive.zip"] = [never_ends if when == "transfer" else ranged(ARCHIVE), ranged(ARCHIVE)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "stages")}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
    if when == "transfer":
        assert begun.wait(60)
    else:
        assert "unpacking\n" in iter(process.stdout.readline, "")
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not (kaggle.folder / "1.complete").exists()
    assert is_whole(web.download_data_set(HANDLE))


def test_in_a_kaggle_notebook_the_mounted_data_set_is_taken(kaggle, monkeypatch, tmp_path):
    (tmp_path / "input/data").mkdir(parents=True)
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    monkeypatch.setenv("KAGGLE_DATA_PROXY_URL", kaggle.url)
    for name in ("KAGGLE_USER_SECRETS_TOKEN", "KAGGLE_DATA_PROXY_TOKEN"):
        monkeypatch.setenv(name, "none")
    monkeypatch.setenv("KAGGLE_CACHE_MOUNT_FOLDER", str(tmp_path / "input"))
    answer = b'{"wasSuccessful": true, "result": {"mountSlug": "data", "versionNumber": 1}}'
    kaggle.answers["/kaggle-jwt-handler/AttachDatasourceUsingJwtRequest"] = [status(503), whole(answer)]
    assert web.download_data_set(HANDLE) == tmp_path / "input/data"
    assert kaggle.waits == [1]
    assert not (tmp_path / "cache").exists()


def http_error(status):
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(response=response)


@pytest.mark.parametrize("error", [requests.ConnectionError(), requests.Timeout(), http_error(429), http_error(503)])
def test_passing_faults_are_tried_again_with_growing_waits(monkeypatch, error):
    waits, answers = [], iter([error, error, "content"])
    monkeypatch.setattr(web.time, "sleep", waits.append)

    def call():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert web.with_retries(call, "download it") == "content"
    assert waits == [1, 2]


@pytest.mark.parametrize(
    ("error", "tries"), [(http_error(404), 1), (http_error(403), 1), (requests.ConnectionError(), 5)]
)
def test_lasting_faults_end_in_one_line(monkeypatch, error, tries):
    calls = []
    monkeypatch.setattr(web.time, "sleep", lambda seconds: None)

    def call():
        calls.append(1)
        raise error

    with pytest.raises(UsageError, match="cannot download it"):
        web.with_retries(call, "download it")
    assert len(calls) == tries
