"""How a script starts and ends: one line on a user's mistake, the lock of a folder, Ctrl-C; printable text."""

import gc
import re
import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from tqdm import tqdm

FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]")


def printable(text: str) -> str:
    """Return text from a file with escapes for control characters, and an apostrophe before a spreadsheet's formula."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return f"'{text}" if FORMULA.match(text) else text


class UsageError(ArgumentTypeError):
    """A mistake of the user. argparse shows it where the `type` of an argument raises it."""


@contextmanager
def locked(folder: Path = Path("data")) -> Iterator[None]:
    """Lock a folder; UsageError where another run has locked it. The lock ends with the process."""
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder.absolute()}; run the command in the project's root")
    try:
        with FileLock(folder / ".lock", blocking=False):
            yield
    except Timeout:
        raise UsageError(f"another run is at work in {folder.absolute()}; wait for it or end it") from None


def run(main: Callable[[], None]) -> None:
    """Run `main`; end with one line and status 1 on a user's mistake, with status 130 on Ctrl-C."""
    # Some terminals cannot show "–".
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        main()
    except (UsageError, OSError) as error:
        print(f"{Path(sys.argv[0]).stem}: {printable(str(error))}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
    finally:
        # Python looks for garbage once more before it ends: 0.6 s of a process that has loaded torch.
        gc.freeze()


def run_stage(main: Callable[[], None]) -> None:
    """Run `main` as `run` does, with data/ locked; --help prints the docstring of its script."""
    about = f"{sys.modules[main.__module__].__doc__}\nA stage takes no arguments: params.yaml holds its parameters."
    ArgumentParser(description=about, formatter_class=RawDescriptionHelpFormatter).parse_args()
    run(locked()(main))


def warn(message: str) -> None:
    """Print one line to stderr that names the script."""
    tqdm.write(f"{Path(sys.argv[0]).stem}: warning: {printable(message)}", file=sys.stderr)


def refuse_input(parser: ArgumentParser, output: Path | None, inputs: Iterable[Path]) -> None:
    """End with a usage error where the output is one of the inputs."""
    if output and output.resolve() in [path.resolve() for path in inputs if path.name == output.name]:
        parser.error(f"{output} is read; allowed: another file to write")
