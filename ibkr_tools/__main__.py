"""`python -m ibkr_tools` is `ibkr-tools`."""

from ibkr_tools.cli import main

if __name__ == "__main__":
    main()
