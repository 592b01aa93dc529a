#!/bin/sh
# Prints a directory with app/ as it stands at a version of this repository (branch, tag, commit).
set -eu
cd "$(dirname "$0")/../.."
commit=$(git rev-parse --quiet --verify "$1^{commit}") || {
    echo "this repository has no version '$1'. Branches and tags: git branch --all; git tag" >&2
    exit 1
}
folder=$PWD/.lab/versions/$commit
if [ ! -d "$folder" ]; then
    mkdir -p "$folder.new"
    git archive "$commit" app | tar -x -C "$folder.new"
    mv "$folder.new" "$folder"
fi
echo "$folder/app"
