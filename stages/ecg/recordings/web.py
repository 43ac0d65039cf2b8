"""Files from the web, whole or not at all: retries, resumption, time-outs and checksums."""

import hashlib
import os
import re
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urljoin, urlsplit

from ecg.stage.script import UsageError, warn

RETRY_AFTER = (1, 2, 4, 8)  # s
LONGEST_WAIT = 60  # s
TIMEOUT = (10, 60)  # s: to connect, and between two pieces
BROKEN_ARCHIVE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, ValueError, RuntimeError)


def fetch(url: str, checksum: str | None = None) -> bytes:
    """Return what is at a URL, with this SHA-256. Nothing is written: no later run finds a half of it.

    A broken transfer goes on where it ended, if the server can and its ETag says that the file is still the same.
    """
    import requests
    from kagglehub.exceptions import DataCorruptionError

    content, etag = bytearray(), None

    def transfer() -> bytes:
        nonlocal etag
        headers = {"Accept-Encoding": "identity"}
        # A weak ETag, W/…, may stand for other bytes.
        if content and etag and not etag.startswith("W/"):
            headers |= {"Range": f"bytes={len(content)}-", "If-Range": etag}
        with requests.get(url, headers=headers, timeout=TIMEOUT, stream=True) as response:
            if response.status_code != 416:
                response.raise_for_status()
            part = re.fullmatch(r"bytes (\d{1,15})-\d+/(\d{1,15})", response.headers.get("Content-Range", ""))
            if response.status_code != 206 or not part or int(part[1]) != len(content):
                content.clear()
                if response.status_code in (206, 416):
                    raise requests.ConnectionError("another range than was asked for")
            etag = response.headers.get("ETag")
            # Less than Content-Length says is an error of requests.
            for chunk in response.iter_content(2**16):
                content.extend(chunk)
            if response.status_code == 206 and part and len(content) != int(part[2]):
                raise requests.ConnectionError("less than was asked for")
        if checksum and hashlib.sha256(content).hexdigest() != checksum:
            content.clear()
            raise DataCorruptionError("wrong SHA-256")
        return bytes(content)

    return with_retries(transfer, f"download {url}")


def published_checksum(url: str) -> str | None:
    """Return the SHA-256 that SHA256SUMS.txt beside a file says of it, as at PhysioNet; None and a warning if none."""
    try:
        sums = fetch(urljoin(url, "SHA256SUMS.txt"))
    except UsageError as error:
        if getattr(getattr(error.__cause__, "response", None), "status_code", None) not in (403, 404, 410):
            raise
        sums = b""
    name = os.fsencode(unquote(PurePosixPath(urlsplit(url).path).name))
    for line in sums.splitlines():
        checksum, _, file = line.partition(b" ")
        if file.strip(b" *") == name:
            return checksum.decode("latin-1").lower()
    warn(f"{url} cannot be verified: no SHA256SUMS.txt beside it names it")
    return None


def download_data_set(handle: str) -> Path:
    """Return the folder of a Kaggle data set, which kagglehub downloads where its cache lacks it.

    kagglehub goes on with an archive that was broken off, and marks a data set as complete when all of it is unpacked,
    checksums of zip and gzip included. It has no retries, not always a time-out, and keeps an archive that is no good.
    """
    import kagglehub
    import requests
    from kagglehub.cache import delete_from_cache, get_cached_archive_path
    from kagglehub.exceptions import DataCorruptionError
    from kagglehub.handle import parse_dataset_handle

    parsed = parse_dataset_handle(handle)
    archive = Path(get_cached_archive_path(parsed))

    def download() -> Path:
        try:
            with time_outs():
                return linked_folder(Path(kagglehub.dataset_download(handle)).absolute())
        except BROKEN_ARCHIVE as error:
            # Some errors of requests are ValueErrors.
            if isinstance(error, requests.RequestException) or not archive.exists():
                raise
            archive.unlink()
            delete_from_cache(parsed)
            raise DataCorruptionError(f"{archive.name}: {error}") from error

    return with_retries(download, f"download {handle}")


def linked_folder(folder: Path) -> Path:
    """Return the folder that a folder of links stands for, as kagglehub's may on Kaggle; itself where it is none.

    The first file, or link to a folder, decides: it has the same path below both. Links out of that folder are refused
    like any others.
    """
    entry = min((path for path in folder.rglob("*") if path.is_symlink() or path.is_file()), default=folder)
    inside = entry.relative_to(folder).parts
    real = Path(os.path.realpath(folder.joinpath(*inside)))
    same = inside and entry.is_symlink() and real.parts[-len(inside) :] == inside
    return real.parents[len(inside) - 1] if same else folder


def with_retries(call: Callable, what: str):
    """Call; again after 1, 2, 4 and 8 s on connection errors, time-outs, broken transfers, 429 and 5xx.

    A server that asks for a longer wait by Retry-After (s) gets it, up to a minute.
    """
    import requests
    from kagglehub.exceptions import DataCorruptionError

    for wait in (*RETRY_AFTER, None):
        try:
            return call()
        except (requests.RequestException, DataCorruptionError) as error:
            response = getattr(error, "response", None)  # false where its status is an error
            status = None if response is None else response.status_code
            short = f"{type(error).__name__}{f' {status}' if status else ''}"
            if wait is None or (status and status != 429 and status < 500):
                raise UsageError(f"cannot {what} ({short})") from error
            asked = "" if response is None else response.headers.get("Retry-After", "")
            if asked.isdecimal():
                wait = max(wait, min(int(asked[:9]), LONGEST_WAIT))
            warn(f"cannot {what} ({short}); again in {wait} s")
            time.sleep(wait)


@contextmanager
def time_outs() -> Iterator[None]:
    """Give requests that have no time-out one: a server that stalls would hold them for ever."""
    import requests

    send = requests.Session.send

    def limited(self, request, **options):
        return send(self, request, **options | {"timeout": options.get("timeout") or TIMEOUT})

    requests.Session.send = limited  # type: ignore[method-assign]
    try:
        yield
    finally:
        requests.Session.send = send  # type: ignore[method-assign]
