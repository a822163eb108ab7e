"""``python -m vasari``: the command line, where the script is not on the path."""

from vasari.cli.main import main

if __name__ == "__main__":
    main()
