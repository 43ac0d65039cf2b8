"""Write synthetic recordings as WFDB files, to try the commands on: a command, not a stage.

    python stages/synthesise.py my-ecgs --patients 20

The recordings are as with download.source=synthetic: a folder a hospital, diagnosis and patient in the headers.
"""

from ecg.recordings.synthetic import write_recordings
from ecg.run.files import output_folder
from ecg.run.script import argument_parser, run


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("folder", type=output_folder, metavar="FOLDER", help="new or empty folder")
    parser.add_argument("--patients", type=int, default=10, metavar="N", help="1.5 recordings each; default: 10")
    parser.add_argument("--seed", type=int, default=2, metavar="N", help="default: 2; that of download is 6")
    options = parser.parse_args()
    if options.patients < 1 or options.seed < 0:
        parser.error(f"--patients is {options.patients}, --seed {options.seed}; allowed: from 1, from 0")
    if any(options.folder.iterdir()):
        parser.error(f"FOLDER {options.folder} is not empty; allowed: a new or empty folder")
    write_recordings(options.folder, patients=options.patients, seed=options.seed)
    print(f"{len(list(options.folder.rglob('*.hea')))} recordings in {options.folder}")


if __name__ == "__main__":
    run(main)
