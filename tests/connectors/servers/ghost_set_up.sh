#!/bin/bash
# Puts Ghost, and the Node that it wants, into the folder $1. Its package is meant to be unpacked and filled in place.
set -e
mkdir -p "$1"
cd "$1"
echo '{"private": true}' > package.json
npm install node@22.23.3 --no-audit --no-fund --loglevel=error
npm pack ghost@6.65.0 --silent
tar xzf ghost-6.65.0.tgz
cd package
PATH="$(cd ../node_modules/node/bin && pwd):$PATH" \
  npm install --omit=dev --ignore-scripts --legacy-peer-deps --no-audit --no-fund --loglevel=error
