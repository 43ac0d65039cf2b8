"""Write synthetic recordings as WFDB files, to try the commands on: a command, not a stage.

    python stages/synthesise.py FOLDER [--patients N] [--seed N]

They are those of download.source=synthetic, one folder a hospital, with diagnosis and patient in their headers.
"""

import argparse

from ecg.recordings.synthetic import write_recordings
from ecg.run.files import output_folder
from ecg.run.script import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=output_folder, metavar="FOLDER", help="a new or an empty one")
    parser.add_argument("--patients", type=int, default=10, metavar="N", help="default: 10, 1.5 recordings each")
    parser.add_argument("--seed", type=int, default=2, metavar="N", help="default: 2; download's is 6")
    options = parser.parse_args()
    if options.patients < 1 or options.seed < 0:
        parser.error("--patients takes a whole number from 1, --seed from 0")
    if any(options.folder.iterdir()):
        parser.error(f"FOLDER {options.folder} is not empty")
    write_recordings(options.folder, patients=options.patients, seed=options.seed)
    print(f"{len(list(options.folder.rglob('*.hea')))} recordings in {options.folder}")


if __name__ == "__main__":
    run(main)
