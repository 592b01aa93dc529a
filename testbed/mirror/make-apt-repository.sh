#!/bin/sh
# make-apt-repository.sh FOLDER: signs the packages in FOLDER/pool as a repository "stable main" with a key made here;
# the private half stays in this build stage.
set -eu
cd "$1"
export GNUPGHOME=/tmp/gnupg
mkdir -m 0700 "$GNUPGHOME"
gpg --batch --quiet --passphrase '' --quick-generate-key 'labstack test mirror (stand-in)' rsa3072 sign never
gpg --batch --armor --export > gpg-full.key
# The package is for all, but apt asks for the list of its own architecture.
architecture=$(dpkg --print-architecture)
mkdir -p "dists/stable/main/binary-$architecture"
apt-ftparchive packages pool > "dists/stable/main/binary-$architecture/Packages"
gzip -k "dists/stable/main/binary-$architecture/Packages"
apt-ftparchive -o APT::FTPArchive::Release::Suite=stable -o APT::FTPArchive::Release::Codename=stable \
    -o APT::FTPArchive::Release::Components=main -o APT::FTPArchive::Release::Architectures="$architecture" \
    release dists/stable > /tmp/Release
mv /tmp/Release dists/stable/Release
gpg --batch --clearsign -o dists/stable/InRelease dists/stable/Release
gpg --batch --armor --detach-sign -o dists/stable/Release.gpg dists/stable/Release
