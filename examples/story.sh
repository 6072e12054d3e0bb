#!/usr/bin/env bash
# From recordings to a student that ships, and what it gets wrong into the next sweep:
#
#   examples/story.sh DATA HOURS OUT [--set KEY=VALUE ...]
#
# DATA: clips in positive/ and negative/, or these under train/ val/ test/.
# HOURS: long recordings without the wake word, in val/ for the search to choose by and in test/ to judge by.
# OUT: a new folder for all that comes of it. What follows goes to `distune sweep`, e.g. --set budget.trials=40.
set -euo pipefail
data=$1 hours=$2 out=$3
shift 3
mkdir "$out"
cp -r "$data" "$out/data"
# By its folders: a manifest would not name the clips that are added below.
rm -f "$out/data/manifest.csv"
sweep=("$(dirname "$0")/story.yaml" --set "data.path=$out/data" --set "teacher.model=$out/teacher"
       --set "objective.stream=$hours/val" "$@")

# What is wrong with the clips, before anything is trained on them; a teacher's head, fitted on them.
distune data check "$out/data"
distune teacher fit --data "$out/data" --out "$out/teacher"

# Search; then the winner again on other seeds, beside baselines.
distune sweep "${sweep[@]}" --no-confirm
distune confirm story

# What was found, and whether to believe it; the configuration for the platform; the student as files.
distune report story -o "$out/report.html"
distune export story -o "$out/best.yaml"
distune package story --out "$out/package"

# Does it wake, and only then: clips, hours that chose nothing, noise and rooms, with the platform's detector.
distune evaluate "$out/package" --data "$out/data" --stream "$hours/test" --streaming "$out/best.yaml" \
    --rate 30 --det "$out/det.html" -o "$out/evaluation.json"

# What it wakes at by mistake in the other hours becomes hard negatives of the next sweep.
train=$out/data
[ ! -d "$train/train" ] || train=$train/train
distune evaluate "$out/package" --data "$out/data" --split val --stream "$hours/val" --clean --threshold 0.5 \
    --hard-negatives "$train"
distune sweep "${sweep[@]}" --name story-2 --warm-start story --no-confirm
distune status story-2
