"""PTB-XL's table: the data of a patient, and the download, from a server on this machine."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import urllib3

from ecg.recordings.ecg_file import Person
from ecg.recordings.labels import NOT_IN_TABLE, fetch, ptbxl_person, read_ptbxl_table
from ecg.run.script import UsageError

COLUMNS = ["patient_id", "strat_fold"]
CONTENT = b"ecg_id,patient_id,strat_fold\n1,7.0,3\n"
SUMS = f"{hashlib.sha256(CONTENT).hexdigest()} *t.csv\n{'0' * 64} other.csv\n".encode()


def test_a_patient_without_a_fold_stays_that_patient(tmp_path):
    cells = "1,10.0,3.0,AT-6 C 5.5 ,0.0\n2,10,,CS-12   E,12.0\n3,,4,CS-12,1\n4,NA,4,,\n5,12.0,NaN,,nan\n"
    path = tmp_path / "t.csv"
    path.write_text(f"ecg_id,patient_id,strat_fold,device,site\n{cells}")
    assert [ptbxl_person(row) for row in (*read_ptbxl_table(str(path), COLUMNS, ["device", "site"]), {})] == [
        Person(patient="10", registry="ptb-xl", fold=3, device="AT-6 C 5.5", site="0"),
        Person(patient="10", registry="ptb-xl", device="CS-12   E", site="12"),
        Person(flags=(NOT_IN_TABLE,), fold=4, device="CS-12", site="1"),
        Person(flags=(NOT_IN_TABLE,), fold=4),
        Person(patient="12", registry="ptb-xl"),
        Person(flags=(NOT_IN_TABLE,)),
    ]


class Handler(BaseHTTPRequestHandler):
    """Gives the next answer for a path, the last one again and again; 404 where there is none."""

    def do_GET(self):
        answers = self.server.answers.get(self.path, [(404, b"")])
        status, content = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(urllib3.util.retry.time, "sleep", lambda seconds: None)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.answers = {"/SHA256SUMS.txt": [(200, SUMS)], "/t.csv": [(200, CONTENT)]}
    server.url = f"http://127.0.0.1:{server.server_address[1]}/t.csv"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_table_is_fetched_from_a_server_that_recovers_and_verified(server):
    server.answers["/t.csv"] = [(503, b""), (429, b""), (500, b"busy"), (200, CONTENT)]
    server.answers["/SHA256SUMS.txt"] = [(503, b""), (200, SUMS)]
    (row,) = read_ptbxl_table(server.url, COLUMNS, [])
    assert row == {"ecg_id": "1", "patient_id": "7", "strat_fold": "3", "line": "2"}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((503, b""), ".*too many 503 error responses.*; set download.ptbxl_patients to a copy or ''"),
        ((404, b""), "404 Client Error: .*; set download.ptbxl_patients to a copy or ''"),
        ((200, CONTENT[:-1]), r"its SHA-256 \w{64} is not in SHA256SUMS.txt; try again"),
    ],
)
def test_a_server_without_the_table_gives_one_line(server, answer, reason):
    server.answers["/t.csv"] = [answer]
    with pytest.raises(UsageError, match=rf"^cannot download {server.url}: {reason}$"):
        fetch(server.url)


def test_a_file_without_a_published_checksum_is_accepted(server):
    for sums in [(404, b""), (200, b"<html>not here</html>\n" + b"0" * 64 + b" tt.csv\n")]:
        server.answers["/SHA256SUMS.txt"] = [sums]
        assert fetch(server.url) == CONTENT
