import faulthandler
import sys

from .cli import main

if __name__ == "__main__":
    faulthandler.enable()  # much foreign code runs here: a crash shall say where
    sys.exit(main())
