"""The command line: `./lab` makes its environment and hands over to `python -m cli`."""
