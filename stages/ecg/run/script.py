"""Start and end of a script: arguments, lock of a folder, one line for a user's mistake; printable text."""

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

EXIT_CODES = "Exit codes: 0 done, 1 unusable input or output, 2 wrong usage, 3 predict refused recordings, 130 Ctrl-C."
FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]")


def printable(text: str) -> str:
    """Return text from a file with escapes for control characters, and an apostrophe before a spreadsheet's formula."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return f"'{text}" if FORMULA.match(text) else text


class UsageError(ArgumentTypeError):
    """A user's mistake, printed as one line; argparse prints it where the `type` of an argument raises it."""


@contextmanager
def locked(folder: Path = Path("data")) -> Iterator[None]:
    """Lock a folder; UsageError where another run has locked it. The lock ends with the process."""
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder.absolute()}; run `dvc repro` in the project's root")
    try:
        with FileLock(folder / ".lock", blocking=False):
            yield
    except Timeout:
        raise UsageError(f"another run is at work in {folder.absolute()}; wait for it or end it") from None


def run(main: Callable[[], None]) -> None:
    """Run `main`; a user's mistake ends it with one line and exit code 1, Ctrl-C with exit code 130."""
    # Some terminals cannot show "–".
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        main()
    except (UsageError, OSError) as error:
        text = str(error)
        if isinstance(error, FileNotFoundError) and str(error.filename).startswith(("data", "metrics", "params.yaml")):
            text = f"{error.filename} is missing; go to the project's root and run `dvc repro`"
        print(f"{Path(sys.argv[0]).stem}: {printable(text)}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
    finally:
        # Skip the last garbage collection, which takes 0.6 s in a process that has loaded torch.
        gc.freeze()


def argument_parser(about: str | None) -> ArgumentParser:
    """Return a parser whose --help prints a script's docstring and the exit codes."""
    return ArgumentParser(description=about, epilog=EXIT_CODES, formatter_class=RawDescriptionHelpFormatter)


def run_stage(main: Callable[[], None]) -> None:
    """Run `main` as `run` does, with data/ locked; --help prints the docstring of its script."""
    about = f"{sys.modules[main.__module__].__doc__}\nA stage takes no arguments: its parameters are in params.yaml."
    argument_parser(f"{about}\n\n    dvc repro {Path(sys.argv[0]).stem}  # also runs the stages before it").parse_args()
    run(locked()(main))


def warn(message: str) -> None:
    """Print a warning of one line, with the script's name, to stderr."""
    tqdm.write(f"{Path(sys.argv[0]).stem}: warning: {printable(message)}", file=sys.stderr)


def refuse_input(parser: ArgumentParser, output: Path | None, inputs: Iterable[Path]) -> None:
    """End with a usage error if the output is one of the inputs."""
    if output and output.resolve() in [path.resolve() for path in inputs if path.name == output.name]:
        parser.error(f"{output} is an input; allowed: another output file")
