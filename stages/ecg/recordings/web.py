"""Files from the web, whole or not at all: retries and checksums."""

import hashlib
import os
import re
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from ecg.run.script import UsageError, warn

LONGEST_WAIT = 60  # s, that a server may ask for
TIMEOUT = (10, 60)  # s: to connect, and between two pieces


def fetch(url: str, checksum: str | None = None) -> bytes:
    """Return what is at a URL; UsageError where it cannot be had, or has another SHA-256."""
    import requests

    def transfer() -> bytes:
        # A body that is shorter than its Content-Length is an error of requests.
        response = requests.get(url, timeout=TIMEOUT)
        response.raise_for_status()
        return response.content

    content = with_retries(transfer, url)
    if checksum and (found := hashlib.sha256(content).hexdigest()) != checksum:
        raise UsageError(f"cannot download {url}: its SHA-256 is {found}; allowed: {checksum}")
    return content


def published_checksum(url: str) -> str | None:
    """Return the SHA-256 that SHA256SUMS.txt beside a file states, as at PhysioNet; None and a warning if none."""
    try:
        sums = fetch(urljoin(url, "SHA256SUMS.txt")).decode("utf-8", "replace")
    except UsageError as error:
        if getattr(getattr(error.__cause__, "response", None), "status_code", None) not in (403, 404, 410):
            raise
        sums = ""
    name = re.escape(unquote(urlsplit(url).path.rpartition("/")[2]))
    line = re.search(rf"^([\da-f]{{64}})[ *]+{name}\s*$", sums, re.MULTILINE | re.IGNORECASE)
    if not line:
        warn(f"{url} cannot be verified: no SHA256SUMS.txt beside it names it")
    return line and line[1].lower()


def download_data_set(handle: str) -> Path:
    """Return the folder of a Kaggle data set, which kagglehub downloads where its cache lacks it.

    kagglehub marks a data set as complete once all of it is unpacked. It has no retries, and would go on with an
    archive that is no good.
    """
    import kagglehub
    from kagglehub.cache import get_cached_archive_path
    from kagglehub.exceptions import BackendError, DataCorruptionError
    from kagglehub.handle import parse_dataset_handle
    from requests.exceptions import ContentDecodingError

    archive = Path(get_cached_archive_path(parse_dataset_handle(handle)))

    def download() -> str:
        try:
            return kagglehub.dataset_download(handle)
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, DataCorruptionError) as error:
            archive.unlink(missing_ok=True)
            raise ContentDecodingError(str(error)) from error
        except BackendError as error:
            raise UsageError(f"cannot download {handle} ({error})") from error

    return linked_folder(Path(with_retries(download, handle)).absolute())


def linked_folder(folder: Path) -> Path:
    """Return the folder that a folder of links stands for, as kagglehub's may on Kaggle; itself where it is none."""
    # The first file, or link to a folder, decides: it has the same path below both.
    entry = min((path for path in folder.rglob("*") if path.is_symlink() or path.is_file()), default=folder)
    real = os.path.realpath(entry)
    root = real.removesuffix(f"/{entry.relative_to(folder)}")
    return Path(root) if entry.is_symlink() and root != real else folder


def with_retries(call: Callable, what: str):
    """Call; again after growing waits, or the server's Retry-After (s), on faults of the network, 429 and 5xx."""
    import requests

    for wait in (1, 2, 4, 8, 16, None):
        try:
            return call()
        except requests.RequestException as error:
            status = getattr(error.response, "status_code", None)
            short = f"{type(error).__name__}{f' {status}' if status else ''}"
            # A URL that is none is a ValueError.
            if wait is None or isinstance(error, ValueError) or (status and status != 429 and status < 500):
                raise UsageError(f"cannot download {what} ({short})") from error
            asked = getattr(error.response, "headers", {}).get("Retry-After", "")
            wait = max(wait, min(int(asked[:9]), LONGEST_WAIT)) if asked.isdecimal() else wait
            warn(f"cannot download {what} ({short}); again in {wait} s")
            time.sleep(wait)
