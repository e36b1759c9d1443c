"""`python -m tests.faults --seeds 10`: run the harness, a seed after the other, and say what does not hold."""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.run import run


def main() -> int:
    """Run the seeds that were asked for; 1 when any of them found something."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="how many seeds, from --first on (10)")
    parser.add_argument("--first", type=int, default=1, help="the first seed (1)")
    parser.add_argument(
        "--calls", type=int, default=4000, help="how many calls are planned for a seed (4000)"
    )
    parser.add_argument("--accidents", type=int, default=6, help="how many accidents happen in a seed (6)")
    parser.add_argument("--clients", type=int, default=12, help="how many clients call at once (12)")
    parser.add_argument(
        "--keep", action="store_true", help="keep the directories of seeds that found something"
    )
    options = parser.parse_args()
    failed = []
    for seed in range(options.first, options.first + options.seeds):
        began = time.monotonic()
        print(f"seed {seed}", flush=True)
        directory = Path(tempfile.mkdtemp(prefix=f"lockstep-faults-{seed}-"))
        problems = run(
            seed,
            directory,
            call_count=options.calls,
            accident_count=options.accidents,
            clients=options.clients,
            say=lambda line: print(line, flush=True),
        )
        for problem in problems[:40]:
            print(f"  NOT SO: {problem}")
        print(f"  {'FAILED' if problems else 'ok'} after {time.monotonic() - began:.0f} s", flush=True)
        if problems:
            failed.append(seed)
        if not (problems and options.keep):
            shutil.rmtree(directory, ignore_errors=True)
    if failed:
        print(f"Failed: {failed}. Again: python -m tests.faults --seeds 1 --first {failed[0]} --keep")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
