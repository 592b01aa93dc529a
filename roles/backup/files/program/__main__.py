"""`python3 -I -S /usr/local/lib/labstack/backup VERB`: see labstack_backup/verbs.py."""

import sys

from labstack_backup import verbs

if __name__ == "__main__":
    sys.exit(verbs.main(sys.argv[1:]))
