"""A margin head over two processes: memory a process and seconds a step by the number of people.

What a process holds is its rows of W with gradient and momentum, and the logits of a batch: both fall with the number
of processes. ``--most 1000000`` for more people than the default, as far as the memory goes. The book's page of many
people shows the same from stored runs.
"""

from __future__ import annotations

import argparse

from aifr_lib.experiments.companion.many_people import WAYS
from aifr_lib.experiments.measure.sharded_step import measured, on_paper

EMBEDDING, BATCH = 512, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=100_000)
    options = parser.parse_args()
    people = 100_000
    while people <= options.most:
        for way, (processes, sampled) in WAYS.items():
            found = measured(people, processes, sampled, EMBEDDING, BATCH)
            print(
                f"{people:,} people, {way}: {found['gigabytes']:.2f} GB a process "
                f"({on_paper(people, processes, EMBEDDING):.2f} of them W, gradient, momentum), "
                f"{found['seconds']:.2f} CPU s a step",
                flush=True,
            )
        people *= 10


if __name__ == "__main__":
    main()
