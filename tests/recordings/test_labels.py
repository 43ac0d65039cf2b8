"""PTB-XL's table: what it gives of a patient, and its download from a server on this machine."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import urllib3

from ecg.recordings.ecg_file import Person
from ecg.recordings.labels import NOT_IN_TABLE, fetch, ptbxl_patient, ptbxl_person, read_ptbxl_table
from ecg.run.script import UsageError

COLUMNS = ["patient_id", "strat_fold"]
CONTENT = b"ecg_id,patient_id,strat_fold\n1,7.0,3\n"
SUMS = f"{hashlib.sha256(CONTENT).hexdigest()} *t.csv\n{'0' * 64} other.csv\n".encode()


def table(path, text):
    path.write_text(text)
    return read_ptbxl_table(str(path), COLUMNS)


def test_a_patient_without_a_fold_stays_that_patient(tmp_path):
    rows = table(tmp_path / "t.csv", "ecg_id,patient_id,strat_fold\n1,10.0,3.0\n2,10,\n3,,4\n4,NA,4\n5,12.0,NaN\n")
    assert [ptbxl_patient(rows.get(i, {})) for i in (1, 2, 3, 4, 5, 6)] == [
        Person(patient="10", registry="ptb-xl", fold=3),
        Person(patient="10", registry="ptb-xl"),
        Person(flags=(NOT_IN_TABLE,)),
        Person(flags=(NOT_IN_TABLE,)),
        Person(patient="12", registry="ptb-xl"),
        Person(flags=(NOT_IN_TABLE,)),
    ]


def test_device_and_site_are_told_where_the_table_has_them(tmp_path):
    cells = "1,1.0,3,AT-6 C 5.5 ,0.0\n2,2.0,3,CS-12   E,12.0\n3,,3,CS-12,1\n4,4,3,,nan"
    rows = table(tmp_path / "t.csv", f"ecg_id,patient_id,strat_fold,device,site\n{cells}")
    recorders = [(ptbxl_patient(rows[i]).device, ptbxl_patient(rows[i]).site) for i in (1, 2, 3, 4)]
    assert recorders == [("AT-6 C 5.5", "0"), ("CS-12   E", "12"), ("", ""), ("", "")]


@pytest.mark.parametrize(("cell", "sex"), [("0", "male"), ("1.0", "female"), ("", ""), ("2", "2")])
def test_the_sex_is_0_or_1(cell, sex):
    assert ptbxl_person({"patient_id": "1", "sex": cell}).sex == sex


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("1,4711,3\n1,4712,3", "line 3: ecg_id is that of a row above"),
        ("4711,3\nx4711,3,1", "line 3: ecg_id is no whole number"),
        (",4711,3", "line 2: ecg_id is no whole number"),
        ("1,2,4711,3", "line 2: 4 cells under a header of 3"),
    ],
)
def test_what_is_wrong_with_the_table_is_told_without_what_may_be_a_patients_id(tmp_path, rows, said):
    with pytest.raises(UsageError) as caught:
        table(tmp_path / "t.csv", f"ecg_id,patient_id,strat_fold\n{rows}\n")
    assert str(caught.value) == f"{tmp_path / 't.csv'}, {said}"


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


def test_the_table_is_fetched_from_a_server_that_recovers_and_verified(server, capsys):
    server.answers["/t.csv"] = [(503, b""), (429, b""), (500, b"busy"), (200, CONTENT)]
    server.answers["/SHA256SUMS.txt"] = [(503, b""), (200, SUMS)]
    assert read_ptbxl_table(server.url, COLUMNS) == {1: {"ecg_id": "1", "patient_id": "7.0", "strat_fold": "3"}}
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((503, b""), r" \(RetryError\)"),
        ((404, b""), r" \(status 404\)"),
        ((200, CONTENT[:-1]), r": its SHA-256 is \w{64}; allowed: \w{64}"),
    ],
)
def test_a_server_without_the_table_gives_one_line(server, answer, message):
    server.answers["/t.csv"] = [answer]
    with pytest.raises(UsageError, match=rf"^cannot download {server.url}{message}$"):
        fetch(server.url)


def test_a_file_without_a_published_checksum_is_warned_of(server, capsys):
    for sums in [(404, b""), (200, b"<html>not here</html>\n" + b"0" * 64 + b" tt.csv\n")]:
        server.answers["/SHA256SUMS.txt"] = [sums]
        assert fetch(server.url) == CONTENT
        assert "t.csv cannot be verified: no SHA256SUMS.txt beside it names it\n" in capsys.readouterr().err
