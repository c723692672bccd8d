"""`python -m hubbub`: the command line, for when the command `hubbub` is not on the PATH."""

from hubbub.cli.main import run

if __name__ == "__main__":
    run()
