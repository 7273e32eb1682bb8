#!/bin/sh
# make chat: makes a model that answers questions about stories, and talks with it, in the directory RUN:
#   1. writes stories, and conversations about other stories;
#   2. tokenizes both with one tokenizer, trained on the conversations;
#   3. pre-trains on the stories: every token is a target;
#   4. fine-tunes on the conversations: only the tokens of the answers are targets;
#   5. counts the right answers about stories that the model has not seen;
#   6. opens the chat, if this is a terminal.
# A step that was interrupted continues the next time.
#   RUN=runs/chat apps/chat.sh build/inkling [FLAG OF BOTH TRAININGS...]
# Tests need less of everything: SIZES may have flags of `inkling story-chats`, STEPS the steps of each training.
set -eu
inkling=$1
shift
run=${RUN:-runs/chat}
data=$run/data
held_out=$data/story_chats_held_out.jsonl

# train DIRECTORY FLAG...: trains, or continues.
train() {
  directory=$1
  shift
  if [ -e "$directory/config.json" ]; then set -- --resume "$@"; fi
  "$inkling" train --out "$directory" "$@"
}

if [ ! -e "$data/stories_train.bin" ]; then
  mkdir -p -- "$data"
  # shellcheck disable=SC2086
  "$inkling" story-chats --out "$data" ${SIZES:-}
  "$inkling" tokenize --input "$data/story_chats_train.jsonl" --vocab-size 1024 --seq-len 192 --out "$data/chats"
  "$inkling" tokenize --input "$data/stories.jsonl" --tokenizer "$data/chats_tokenizer.bin" --out "$data/stories"
fi
train "$run/pretrained" --data "$data/stories_train.bin" --document-mask \
  --layers 2 --channels 128 --batch-size 8 --seq-len 192 --steps "${STEPS:-4000}" --schedule wsd --lr 1.5e-3 --min-lr 1e-5 \
  --weight-decay 0.01 --save-every 1000 --sample-every 2000 "$@"
train "$run" --init "$run/pretrained/model.bin" --data "$data/chats_train.bin" \
  --batch-size 8 --seq-len 192 --steps "${STEPS:-3500}" --schedule wsd --lr 1e-3 --min-lr 1e-5 --beta2 0.99 --weight-decay 0.01 \
  --save-every 1000 "$@"

echo
echo "Conversations about stories that the model has not seen:"
"$inkling" eval --model "$run/model.bin" --chat "$held_out"
if [ -t 0 ] && [ -t 1 ]; then
  echo
  echo "Tell a story and ask about it, or paste this one:"
  "$inkling" story-chats --example
  exec "$inkling" chat --model "$run/model.bin" --greedy
fi
