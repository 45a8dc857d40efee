#!/usr/bin/env bash
# Keeps one issue for one thing that has drifted: made when it has, brought up to date as long as it has, closed when it is gone.
#
#   scripts/azure/drift-issue.sh TITLE true|false FILE     the file has the text of the issue, as Markdown

set -euo pipefail

if [ "${1:-}" = --help ] || [ $# -ne 3 ]; then
  sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
  exit $(($# == 1 ? 0 : 1))
fi

# GitHub searches words, not whole titles. Two runs at once may have made two.
numbers=$(gh issue list --state open --search "in:title \"$1\"" --json number,title --jq ".[] | select(.title == \"$1\") | .number")
if [ "$2" = true ] && [ -z "$numbers" ]; then
  gh issue create --title "$1" --body-file "$3"
elif [ "$2" = true ]; then
  gh issue edit "${numbers%%$'\n'*}" --body-file "$3"
else
  for number in $numbers; do
    gh issue close "$number" --comment 'It is as described again.'
  done
fi
