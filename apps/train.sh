#!/bin/sh
# make train: turns the text TEXT into shards, trains on them in the directory RUN, and continues the run if it
# was started before. Without TEXT it trains on stories.
#   TEXT=my.txt RUN=runs/my apps/train.sh build/inkling [FLAG OF TRAIN...]
# TEXT and RUN come from the environment, so that they may contain spaces, quotes and any other characters.
set -eu
inkling=$1
shift
TEXT=${TEXT:-}
case $TEXT in '~/'*) TEXT=$HOME/${TEXT#'~/'} ;; esac # not every shell replaces the ~ of DATA=~/my.txt
if [ -n "$TEXT" ]; then
  file=$(basename -- "$TEXT")
  name=${file%.*}
  name=${name:-$file}
else
  name=stories
fi
run=${RUN:-runs/$name}
if [ -n "$TEXT" ]; then
  mkdir -p -- "$run/data"
  "$inkling" tokenize --input "$TEXT" --out "$run/data/$name"
  set -- --data "$run/data/${name}_train.bin" "$@"
fi
if [ -e "$run/config.json" ]; then set -- --resume "$@"; fi
exec "$inkling" train --out "$run" "$@"
