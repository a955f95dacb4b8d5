"""`python -m promptstudio` is the long name of the program."""

import sys

from promptstudio.entry import promptstudio

sys.exit(promptstudio())
