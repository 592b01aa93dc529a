"""The tables' history: each change of a table is a revision in versions/.

MySQL commits each DDL statement by itself, so a revision that is cut short leaves a part of its
work behind. Therefore every revision asks what is there (`ensure_*`) and makes only what is
missing: running it again finishes it.
"""
