"""The documentation as a site: `./lab run python -m website` builds it into .lab/website/html."""
