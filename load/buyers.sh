#!/usr/bin/env bash
# Lets N buyers press the button at once, each for one unit, and prints what they were told.
#
#   load/buyers.sh [-n BUYERS] [-p AT_ONCE] [-s STOCK] [-g GOODS_ID] [URL]
#
# By default 100 buyers, all at once, for an item of its own with 10 units, or for the item that -g names; on
# http://127.0.0.1:$PORT, 8000 unless it is set. Needs bash, curl, and the project's virtual environment for the tokens. Loopback only.
# Exit code 1 if the tally does not add up.
set -euo pipefail
cd "$(dirname "$0")/.."

buyers=100 at_once= stock=10 goods=
usage() { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
while getopts n:p:s:g: option; do
    case $option in
        n) buyers=$OPTARG ;;
        p) at_once=$OPTARG ;;
        s) stock=$OPTARG ;;
        g) goods=$OPTARG ;;
        *) usage ;;
    esac
done
shift $((OPTIND - 1))
url=${1:-http://127.0.0.1:${PORT:-8000}}
url=${url%/}
at_once=${at_once:-$buyers}
for number in "$buyers" "$at_once" "$stock" "${goods:-1}"; do
    [[ $number =~ ^[1-9][0-9]{0,5}$ ]] || usage
done
((buyers <= 1000)) || { echo "error: at most 1000 buyers" >&2; exit 2; }
((at_once <= 300)) || at_once=300 # curl itself does no more

work=$(mktemp -d) # only its owner gets at the tokens in it
trap 'rm -rf "$work"' EXIT
"${PYTHON:-.venv/bin/python}" -m load.tokens "$url" "$buyers" >"$work/tokens"
admin=$(head -n 1 "$work/tokens")

field() { sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p"; }

# Curl reads tokens from files: a command line is there for all to see.
if [ -z "$goods" ]; then
    printf 'header = "Authorization: Bearer %s"\n' "$admin" >"$work/admin"
    made=$(curl --silent --show-error --noproxy '*' --max-time 20 --config "$work/admin" \
        --header 'Content-Type: application/json' \
        --data "{\"name\":\"buyers.sh\",\"currency\":\"CNY\",\"price\":100,\"stock\":$stock,\"per_user_limit\":1}" \
        "$url/goods")
    goods=$(field id <<<"$made")
    [ -n "$goods" ] || { echo "error: no item could be put up: $made" >&2; exit 1; }
fi
item() { curl --silent --show-error --noproxy '*' --max-time 20 "$url/goods/$goods"; }
before=$(item)
stock=$(field stock <<<"$before")
[ -n "$stock" ] || { echo "error: there is no item $goods" >&2; exit 1; }

tail -n +2 "$work/tokens" | awk -v url="$url/seckill/$goods" -v work="$work" '{
    if (NR > 1) print "next"
    printf "url = \"%s\"\nrequest = POST\nheader = \"Authorization: Bearer %s\"\n", url, $0
    printf "header = \"Idempotency-Key: buyers-sh-%d\"\noutput = \"%s/answer-%d\"\n", NR, work, NR
    printf "noproxy = \"*\"\nmax-time = 35\nwrite-out = \"%%{http_code} %d\\n\"\n", NR
}' >"$work/purchases"
curl --no-progress-meter --parallel --parallel-immediate --parallel-max "$at_once" --config "$work/purchases" \
    >"$work/statuses" 2>"$work/errors" || true # who got no answer is counted below

while read -r status number; do
    code=
    ((10#$status < 400)) || code=$(field code <"$work/answer-$number" 2>/dev/null || true)
    [ "$status" != 000 ] || code="no answer"
    echo "$status ${code:-accepted}"
done <"$work/statuses" | sort | uniq -c | sort -rn >"$work/tally"
cat "$work/tally"

answered=$(wc -l <"$work/statuses")
accepted=$(awk '$2 == 201 {print $1}' "$work/tally")
unknown=$(awk '$2 == "000" || $3 == "unavailable" {lost += $1} END {print lost + 0}' "$work/tally")
sleep 1.5 # what the service shows of an item may be a second old
new=$(($(item | field sold) - $(field sold <<<"$before")))
echo "item $goods: $new of $stock sold to $buyers buyers, ${accepted:-0} accepted"
if ((answered != buyers || new > stock || new < ${accepted:-0} || new > ${accepted:-0} + unknown)); then
    echo "WRONG: this does not add up" >&2
    exit 1
fi
