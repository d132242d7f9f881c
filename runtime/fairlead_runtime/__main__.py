"""The image's entry point."""

import sys

from fairlead_runtime.supervisor import main

if __name__ == "__main__":
    sys.exit(main())
