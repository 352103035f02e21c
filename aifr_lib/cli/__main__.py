"""``python -m aifr_lib.cli``: the command where it is not on the PATH, and what torchrun takes."""

from aifr_lib.cli.app import app

if __name__ == "__main__":
    app()
