"""How a script starts and ends: one line on a user's mistake, the lock of a folder, Ctrl-C; text as it can be shown."""

import fcntl  # Linux and macOS only
import gc
import os
import re
import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable
from pathlib import Path

from tqdm import tqdm

# Apostrophes count, so that none comes before what has one already and makes two texts one.
FORMULA = re.compile(r"'*\s*[=+\-@＝＋－＠]")
LOCK = Path("data/.lock")


def printable(text: str, *, cell: bool = True) -> str:
    """Return text from a file as it can be shown: what is not printable, or turns text round, as a visible escape.

    For a table's cell a text that a spreadsheet takes for a formula gets an apostrophe, and a backslash is doubled:
    different texts stay different. For a terminal's line they stay as they are: the text may come from a table.
    """
    if cell:
        text = text.replace("\\", "\\\\")
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return f"'{text}" if cell and FORMULA.match(text) else text


class UsageError(ArgumentTypeError):
    """A mistake that the user can mend: what was wrong, what was given, what is allowed.

    argparse shows one that the `type` of an argument raises, and ends with status 2.
    """


def run(main: Callable[[], None]) -> None:
    """Run `main`; end with one line and status 1 on a user's mistake, with 130 on Ctrl-C."""
    # A terminal may know no "–".
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        main()
    except (UsageError, OSError) as error:
        # NumPy says no more than "61680 requested and 0 written".
        full = "no space left on device: " if str(error).endswith(" written") else ""
        print(f"{Path(sys.argv[0]).stem}: {full}{printable(str(error), cell=False)}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
    finally:
        # Python looks for garbage once more before it ends: half a second of a process that has loaded torch.
        gc.freeze()


def run_stage(main: Callable[[], None]) -> None:
    """Run `main` as `run` does, with data/ locked: of two stages in one folder, the second touches nothing.

    --help prints the docstring of its script; other arguments are a usage error. Neither touches a file.
    """
    about = f"{sys.modules[main.__module__].__doc__}\nA stage takes no arguments: params.yaml holds its parameters."
    ArgumentParser(description=about, formatter_class=RawDescriptionHelpFormatter).parse_args()

    def locked() -> None:
        # Modules are never garbage.
        gc.freeze()
        gc.enable()
        # The kernel lets go of the lock when the process ends, however it ends; worker processes do not inherit it.
        with LOCK.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read() or "another stage"
                raise UsageError(f"{holder} is at work in {LOCK.parent.absolute()}; wait for it or end it") from None
            file.truncate(0)
            file.write(f"{Path(sys.argv[0]).stem} (process {os.getpid()})")
            file.flush()
            try:
                main()
            except Exception:
                # Compiled code may turn a KeyboardInterrupt into an error of its own.
                if interrupted:
                    raise KeyboardInterrupt from None
                raise
            finally:
                file.truncate(0)

    interrupted = []

    def interrupt(number: int, frame: object) -> None:
        interrupted.append(number)
        raise KeyboardInterrupt

    # A KeyboardInterrupt that is raised inside a callback is only printed: let it come again.
    for number in (signal.SIGINT, signal.SIGALRM):
        signal.signal(number, interrupt)
    sys.unraisablehook = lambda lost: (
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        if lost.exc_type is KeyboardInterrupt
        else sys.__unraisablehook__(lost)
    )
    run(locked)


def warn(message: str) -> None:
    """Print one line to stderr that names the script."""
    tqdm.write(f"{Path(sys.argv[0]).stem}: warning: {printable(message, cell=False)}", file=sys.stderr)


def refuse_input(parser: ArgumentParser, output: Path | None, inputs: Iterable[Path]) -> None:
    """End with a usage error where the output is one of the inputs."""
    if output and output.resolve() in [path.resolve() for path in inputs if path.name == output.name]:
        parser.error(f"{output} is read; allowed: another file to write")
