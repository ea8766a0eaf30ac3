"""``python -m vidcolor``."""

from vidcolor.cli.commands import main

if __name__ == "__main__":
    main()
