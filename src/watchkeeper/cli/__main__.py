"""`python -m watchkeeper.cli`."""

from watchkeeper.cli import main

if __name__ == "__main__":  # a process that helps imports this module too
    main()
